/** A file on this machine, by path; where the host can open one. */
import { asFloeError, FloeError, RequestError, throwIfAborted } from '../../errors/index.ts';
import type { Host } from '../../host/index.ts';
import { type ByteSource, checkRange } from '../source.ts';

export async function openFile(host: Host, path: string): Promise<ByteSource> {
  if (!host.openFile) {
    throw new RequestError('request/invalid', `${path} is a path, and a browser can't open files by path.`, {
      remedy: 'Give an absolute URL, or a `File` the person chose.',
      details: { path },
    });
  }
  const file = await host.openFile(path).catch((cause: unknown) => {
    throw cause instanceof FloeError ? cause : notOpened(path, cause);
  });
  const source: ByteSource = {
    name: path,
    sizeBytes: file.sizeBytes,
    version: null,
    local: true,
    ranges: true,
    fetchedBytes: 0,
    read: async (offset, length, signal, options) => {
      checkRange(source, offset, length);
      throwIfAborted(signal);
      const bytes = await file.read(offset, length).catch((cause: unknown) => {
        throw asFloeError(cause);
      });
      options?.onBytes?.(length);
      return bytes;
    },
    close: () => file.close(),
  };
  return source;
}

function notOpened(path: string, cause: unknown): RequestError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RequestError('request/invalid', `${path} can't be opened: ${reason}.`, {
    remedy: 'Check the path and that the file may be read.',
    details: { path },
    cause,
  });
}
