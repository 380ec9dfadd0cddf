export { browserHost } from './browser.ts';
export { systemClock } from './clock.ts';
export type {
  Clock,
  FileReader,
  Folder,
  Host,
  OriginFile,
  OriginFiles,
  StorageInfo,
  SyncAccess,
  WorkerPort,
} from './host.ts';
export { turn } from './turn.ts';
