/** What a person names as a model, as bytes. */
import { RequestError } from '../../errors/index.ts';
import type { Host } from '../../host/index.ts';
import type { ByteSource, ModelSource } from '../source.ts';
import { openBlob } from './blob.ts';
import { openFile } from './file.ts';
import { type HttpOptions, nameOf, openHttp } from './http.ts';

export type { HttpOptions } from './http.ts';

/** Opens a source. Of a URL it costs one request, which brings the file's first MiB with it. */
export async function openSource(host: Host, source: ModelSource, options: HttpOptions = {}): Promise<ByteSource> {
  if (source instanceof Blob) return openBlob(source);
  const url = remoteUrl(host, source);
  if (url) return openHttp(host, url, options);
  return openFile(host, pathOf(source as Exclude<ModelSource, Blob>));
}

/** The name under which a source's records are kept: its URL without query and fragment. Null: it is never stored. */
export function storedName(host: Host, source: ModelSource): string | null {
  if (source instanceof Blob) return null;
  const url = remoteUrl(host, source);
  return url && url.protocol !== 'blob:' && url.protocol !== 'data:' ? nameOf(url) : null;
}

/** Null for a path. */
function remoteUrl(host: Host, source: Exclude<ModelSource, Blob>): URL | null {
  if (source instanceof URL) return source.protocol === 'file:' ? null : source;
  if (typeof source !== 'string') return null;
  // A drive letter ('C:\…') parses as a URL whose scheme has one letter.
  const url = URL.canParse(source) ? new URL(source) : null;
  if (url && url.protocol.length > 2) return url.protocol === 'file:' ? null : url;
  if (host.openFile) return null;
  throw new RequestError('request/invalid', `'${source}' is not an absolute URL.`, {
    remedy: 'Give the whole address: `new URL(path, document.baseURI)`.',
    details: { source },
  });
}

function pathOf(source: Exclude<ModelSource, Blob>): string {
  if (source instanceof URL) return decodeURIComponent(source.pathname);
  if (typeof source !== 'string') return source.path;
  return source.startsWith('file:') ? decodeURIComponent(new URL(source).pathname) : source;
}
