/** A `File` a person chose, or any `Blob`: read where it lies. */
import { NetError, throwIfAborted } from '../../errors/index.ts';
import { type ByteSource, checkRange } from '../source.ts';

export function openBlob(blob: Blob): ByteSource {
  const isFile = 'name' in blob && 'lastModified' in blob;
  const source: ByteSource = {
    name: isFile ? String(blob.name) : 'blob',
    sizeBytes: blob.size,
    version: isFile ? String(blob.lastModified) : null,
    local: true,
    ranges: true,
    fetchedBytes: 0,
    read: async (offset, length, signal, options) => {
      checkRange(source, offset, length);
      throwIfAborted(signal);
      const buffer = await blob
        .slice(offset, offset + length)
        .arrayBuffer()
        .catch((cause: unknown) => {
          throw unreadable(source.name, cause);
        });
      options?.onBytes?.(length);
      return new Uint8Array(buffer);
    },
    close: async () => undefined,
  };
  return source;
}

/** Browsers refuse to read a `File` that was changed, moved or deleted after it was chosen. */
function unreadable(name: string, cause: unknown): NetError {
  return new NetError('net/source-changed', `${name} can't be read any more.`, {
    remedy: 'It was changed, moved or deleted after it was chosen. Choose the file again.',
    details: { name },
    cause,
  });
}
