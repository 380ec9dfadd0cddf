/** Where a model of several files lies: a hub's repository, an address that ends with a slash, a folder, chosen files. */
import { NetError, RequestError } from '../../errors/index.ts';
import type { ByteSource } from '../source.ts';

export interface ModelFolder {
  /** For messages. */
  readonly name: string;
  /** Opens a file of it; `probeBytes` of its beginning are sure to be wanted. Null where there is none of the name. */
  readonly open: (file: string, probeBytes: number) => Promise<ByteSource | null>;
}

/** A folder is meant by its own name, with a slash behind it, or by a file that only such folders have. */
const FOLDER = /^(.*\/)?(?:config\.json|[^/]+\.safetensors(?:\.index\.json)?)?$/i;

/** The folder's part of a path, up to its last slash; null where the path is a file's of its own. */
export function folderPath(path: string): string | null {
  const [match, folder = ''] = FOLDER.exec(path) ?? [];
  return match ? folder : null;
}

/** A folder, by what opens its files. */
export function folderOf(name: string, open: (file: string, probeBytes: number) => Promise<ByteSource>): ModelFolder {
  return {
    name,
    open: (file, probeBytes) =>
      open(file, probeBytes).catch((error: unknown) => {
        if (isMissing(error)) return null;
        throw error;
      }),
  };
}

/** A file that is not there is another matter than a network that is not. */
export function isMissing(error: unknown): boolean {
  const isGone = error instanceof NetError && (error.details.status === 404 || error.details.status === 410);
  return isGone || (error instanceof RequestError && error.details.path !== undefined);
}
