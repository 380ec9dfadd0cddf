/** The file a routing trace is written to while a model answers. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { UsageError } from './failure.ts';

export const traceOption = { trace: { type: 'string' } } as const;
export const traceUsage = `  --trace FILE          writes which experts each token was routed to, for \`pnpm sim:experts\``;

export interface TraceFile {
  readonly onTrace: (bytes: Uint8Array) => void;
  /** A trace of nothing leaves no file. */
  readonly close: () => void;
}

/** Opens the file anew, before anything is loaded; null where no trace is wanted. */
export function openTrace(path: string | undefined): TraceFile | null {
  if (path === undefined) return null;
  let file: number;
  try {
    file = openSync(path, 'w');
  } catch (error) {
    throw new UsageError(`${path} can't be written: ${(error as Error).message}`, 'Give another --trace.', error);
  }
  let isEmpty = true;
  return {
    onTrace: (bytes) => {
      isEmpty = false;
      writeSync(file, bytes);
    },
    close: () => {
      closeSync(file);
      if (isEmpty) rmSync(path, { force: true });
    },
  };
}
