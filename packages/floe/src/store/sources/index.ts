/** What a person names as a model, as bytes. */
import { RequestError } from '../../errors/index.ts';
import type { Host } from '../../host/index.ts';
import { CONFIG_FILE } from '../../safetensors/index.ts';
import type { ByteSource, ModelSource } from '../source.ts';
import { openBlob } from './blob.ts';
import { openFile } from './file.ts';
import { folderOf, folderPath } from './folder.ts';
import { type HttpOptions, nameOf, openHttp } from './http.ts';
import { hubUrl, isHubAddress } from './hub.ts';
import { openSafetensors } from './safetensors.ts';
import { openSplit, partNames } from './split.ts';

export type { HttpOptions } from './http.ts';

/**
 * Opens a source. Of a URL it costs one request, which brings the file's first MiB with it; of a split model's URL or
 * path that for each part; of a folder of safetensors some for its other files, and one for each file of weights.
 */
export async function openSource(host: Host, source: ModelSource, options: HttpOptions = {}): Promise<ByteSource> {
  if (source instanceof Blob) return openBlob(source);
  if (isBlobs(source)) return openBlobs(host, source, options.signal);
  const url = remoteUrl(host, source, options.hub);
  if (url) {
    const from = options.fetch ? { ...host, fetch: options.fetch } : host;
    const folder = remoteFolder(url);
    if (folder) {
      const open = (file: string, probeBytes: number) =>
        openHttp(from, withPath(folder, folder.pathname + file), { ...options, probeBytes });
      return openSafetensors(host, folderOf(nameOf(folder), open), options.signal);
    }
    const parts = partNames(url.pathname);
    if (!parts) return openHttp(from, url, options);
    return openSplit(
      host,
      parts.length,
      (index) => openHttp(from, withPath(url, parts[index]!), options),
      options.signal,
    );
  }
  const path = pathOf(source);
  const folder = folderPath(path);
  if (folder !== null) {
    const open = (file: string) => openFile(host, folder + file);
    return openSafetensors(host, folderOf(folder || '.', open), options.signal);
  }
  const parts = partNames(path);
  if (!parts) return openFile(host, path);
  return openSplit(host, parts.length, (index) => openFile(host, parts[index]!), options.signal);
}

/**
 * The name under which a source's records are kept: its URL without query and fragment, a split model's that of its
 * first part, that of a file of safetensors its folder's. Null: it is never stored.
 */
export function storedName(host: Host, source: ModelSource, hub?: string): string | null {
  if (source instanceof Blob || isBlobs(source)) return null;
  const url = remoteUrl(host, source, hub);
  if (!url || url.protocol === 'blob:' || url.protocol === 'data:') return null;
  const folder = remoteFolder(url);
  if (folder) return nameOf(folder);
  const parts = partNames(url.pathname);
  return nameOf(parts ? withPath(url, parts[0]!) : url);
}

/** Whether the source is of several files. */
export function isSplit(host: Host, source: ModelSource, hub?: string): boolean {
  if (source instanceof Blob) return false;
  if (isBlobs(source)) return source.length > 1;
  const url = remoteUrl(host, source, hub);
  if (url && remoteFolder(url)) return true;
  return partNames(url?.pathname ?? pathOf(source)) !== null || (!url && folderPath(pathOf(source)) !== null);
}

/** The folder of safetensors that an address means, with a slash at its end; null where it means a file. */
function remoteFolder(url: URL): URL | null {
  const folder = /^https?:$/.test(url.protocol) ? folderPath(url.pathname) : null;
  return folder === null ? null : withPath(url, folder);
}

function isBlobs(source: ModelSource): source is readonly Blob[] {
  return Array.isArray(source);
}

function openBlobs(host: Host, blobs: readonly Blob[], signal?: AbortSignal): Promise<ByteSource> {
  const [first] = blobs;
  if (!first) {
    throw new RequestError('request/invalid', 'There is no file among those given.', {
      remedy: 'Give the parts of a split model, all of them.',
    });
  }
  if (blobs.length === 1) return Promise.resolve(openBlob(first));
  const named = new Map(blobs.map((blob) => [openBlob(blob).name, blob]));
  if (named.has(CONFIG_FILE)) {
    const open = async (file: string) => (named.has(file) ? openBlob(named.get(file)!) : null);
    return openSafetensors(host, { name: 'The choice of files', open }, signal);
  }
  return openSplit(host, blobs.length, async (index) => openBlob(blobs[index]!), signal);
}

function withPath(url: URL, path: string): URL {
  const other = new URL(url);
  other.pathname = path;
  return other;
}

/** A source that is an address or a path. */
type Named = Exclude<ModelSource, Blob | readonly Blob[]>;

/** Null for a path. */
function remoteUrl(host: Host, source: Named, hub?: string): URL | null {
  if (!isPath(source) && isHubAddress(String(source))) return hubUrl(String(source), hub);
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

function isPath(source: Named): source is { readonly path: string } {
  return typeof source === 'object' && 'path' in source;
}

function pathOf(source: Named): string {
  if (source instanceof URL) return decodeURIComponent(source.pathname);
  if (typeof source !== 'string') return source.path;
  return source.startsWith('file:') ? decodeURIComponent(new URL(source).pathname) : source;
}
