/** For the store's tests: an origin's files in memory, which can be full, taken, cut and gone. */
import type { Folder, OriginFile, OriginFiles, SyncAccess } from '../host/index.ts';

/** Bytes of a file, and who has it open. */
interface Content {
  bytes: Uint8Array<ArrayBuffer>;
  /** Readers that share it; -1: one has it alone. */
  nOpen: number;
}

/** What goes wrong, from now on. */
export interface FileFaults {
  /** The most that one `write` takes; one that takes fewer than its bytes is no error. */
  writeBytes?: number;
  /** Of all files together; beyond it `write` throws. */
  quotaBytes?: number;
  /** Called before anything is done; what it throws, the platform throws. */
  onCall?: (what: FileCall, path: string) => void;
  /** False: every handle is for one alone, as in a browser that knows no modes. */
  modes?: boolean;
  /** False: there are no access handles, as in a page. */
  handles?: boolean;
}

export type FileCall = 'root' | 'folder' | 'file' | 'open' | 'write' | 'read' | 'flush' | 'blob' | 'remove' | 'list';

/** Every file of one origin, for any number of tabs. */
export class FakeFiles implements OriginFiles {
  /** By path: `floe/GENERATION/NAME`. */
  readonly contents = new Map<string, Content>();
  readonly leastBytes: number;
  faults: FileFaults = {};
  /** How often files were read by a handle, and by way of a `Blob`. */
  nHandleReads = 0;
  nBlobReads = 0;

  constructor(leastBytes = 0) {
    this.leastBytes = leastBytes;
  }

  readonly root = async (): Promise<Folder> => {
    this.call('root', '');
    return this.#folder('');
  };

  call(what: FileCall, path: string): void {
    this.faults.onCall?.(what, path);
  }

  usedBytes(): number {
    return [...this.contents.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  #folder(path: string): Folder {
    const under = (name: string) => `${path}${name}/`;
    return {
      getDirectoryHandle: async (name, options) => {
        this.call('folder', under(name));
        // Folders are no more than the beginning of paths here.
        if (!options?.create && ![...this.contents.keys()].some((key) => key.startsWith(under(name)))) throw gone();
        return this.#folder(under(name));
      },
      getFileHandle: async (name, options) => {
        const key = path + name;
        this.call('file', key);
        if (!this.contents.has(key)) {
          if (!options?.create) throw gone();
          this.contents.set(key, { bytes: new Uint8Array(0), nOpen: 0 });
        }
        return this.#file(key);
      },
      removeEntry: async (name, options) => {
        this.call('remove', path + name);
        const keys = [...this.contents.keys()].filter(
          (key) => key === path + name || (options?.recursive && key.startsWith(under(name))),
        );
        if (keys.length === 0) throw gone();
        if (keys.some((key) => this.contents.get(key)!.nOpen !== 0)) throw taken();
        for (const key of keys) this.contents.delete(key);
      },
      keys: async function* (this: FakeFiles) {
        this.call('list', path);
        const inside = [...this.contents.keys()].filter((key) => key.startsWith(path));
        yield* new Set(inside.map((key) => key.slice(path.length).split('/')[0]!));
      }.bind(this),
    };
  }

  #file(key: string): OriginFile {
    const content = () => this.contents.get(key) ?? raise(gone());
    const file: OriginFile = {
      getFile: async () => {
        this.call('blob', key);
        this.nBlobReads++;
        return new Blob([content().bytes]);
      },
    };
    if (this.faults.handles === false) return file;
    return {
      ...file,
      createSyncAccessHandle: async (options) => {
        this.call('open', key);
        return this.#open(key, content(), options?.mode === 'read-only' && this.faults.modes !== false);
      },
    };
  }

  #open(key: string, content: Content, shared: boolean): SyncAccess {
    if (content.nOpen < 0 || (content.nOpen > 0 && !shared)) throw taken();
    content.nOpen += shared ? 1 : -1;
    return {
      getSize: () => content.bytes.length,
      read: (into, { at }) => {
        this.call('read', key);
        this.nHandleReads++;
        const bytes = content.bytes.subarray(at, at + into.length);
        into.set(bytes);
        return bytes.length;
      },
      write: (bytes, { at }) => {
        this.call('write', key);
        const piece = bytes.subarray(0, this.faults.writeBytes ?? bytes.length);
        if (this.usedBytes() + piece.length > (this.faults.quotaBytes ?? Number.POSITIVE_INFINITY)) throw full();
        const grown = new Uint8Array(Math.max(content.bytes.length, at + piece.length));
        grown.set(content.bytes);
        grown.set(piece, at);
        content.bytes = grown;
        return piece.length;
      },
      flush: () => this.call('flush', key),
      close: () => {
        content.nOpen -= shared ? 1 : -1;
      },
    };
  }
}

const gone = () => new DOMException('A requested file or directory could not be found.', 'NotFoundError');
const taken = () => new DOMException('There is another open Access Handle.', 'NoModificationAllowedError');
const full = () => new DOMException('No space is left.', 'QuotaExceededError');

function raise(error: Error): never {
  throw error;
}
