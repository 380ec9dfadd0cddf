export { browserHost } from './browser.ts';
export { systemClock } from './clock.ts';
export type { Clock, FileReader, Host, StorageInfo, WorkerPort } from './host.ts';
