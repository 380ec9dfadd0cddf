export { browserHost } from './browser.ts';
export type { Clock, FileReader, Host, StorageInfo, WorkerPort } from './host.ts';
