/**
 * Large records as files of this origin (OPFS), beside the database that knows of them. `floe/` has a folder for each
 * generation of a model.
 *  1. A file is written once, under a name of its own, and never changed. A mark names it only after its last byte is on
 *     the disk: a write that was cut leaves a file that nobody names.
 *  2. Many may read a file at once, in any number of tabs; none of them waits for another.
 *  3. What no mark names is swept, and only while nobody writes.
 */
import type { Folder, Host } from '../host/index.ts';
import { errorName } from './connection.ts';
import { readFile, writeFile } from './fileAccess.ts';
import { newName, type PackedRecord } from './manifest.ts';
import type { StoreNotice } from './notices.ts';

const ROOT = 'floe';

export class RecordFiles {
  readonly #host: Host;
  readonly #onNotice: (notice: StoreNotice) => void;
  #root: Promise<Folder> | null = null;
  /** Of each generation, once it was opened: each opening is a way to the browser and back. */
  readonly #folders = new Map<string, Folder>();
  #works: Promise<boolean> | null = null;

  constructor(host: Host, onNotice: (notice: StoreNotice) => void) {
    this.#host = host;
    this.#onNotice = onNotice;
  }

  /**
   * Writes those of the records that are large enough, and tells the file of each. The others are for the database: all
   * of them where files don't work, which is found out at the first, and noticed once.
   * @throws {DOMException} `QuotaExceededError`; none of the files is left then.
   */
  async write(generation: string, records: readonly PackedRecord[]): Promise<Map<string, string>> {
    const names = new Map<string, string>();
    const leastBytes = this.#host.files?.leastBytes ?? Number.POSITIVE_INFINITY;
    for (const { key, bytes } of records) {
      if (bytes.length < leastBytes || !(await this.#canWrite())) continue;
      const name = newName(this.#host);
      try {
        await writeFile(await this.#folder(generation), name, bytes, this.#pause);
        names.set(key, name);
      } catch (error) {
        const isFull = errorName(error) === 'QuotaExceededError';
        await this.remove(generation, isFull ? [...names.values(), name] : [name]);
        if (isFull) throw error;
        this.#giveUp(error);
      }
    }
    return names;
  }

  /** A file as it is on the disk, unchecked; null where there is none or it can't be read. */
  async read(generation: string, name: string): Promise<Uint8Array | null> {
    try {
      return await readFile(await this.#folder(generation), name);
    } catch (error) {
      if (error instanceof DOMException) return null;
      throw error;
    }
  }

  /** Removes files; what can't be removed now is swept later. */
  async remove(generation: string, names: readonly string[]): Promise<void> {
    await this.#unlessRefused(async () => {
      if (names.length === 0) return;
      const folder = await this.#folder(generation);
      for (const name of names) await this.#unlessRefused(() => folder.removeEntry(name));
    });
  }

  /** Removes all files of a generation; what can't be removed now is swept later. */
  async removeAll(generation: string): Promise<void> {
    await this.#unlessRefused(async () => {
      this.#folders.delete(generation);
      if (this.#host.files) await (await this.#open()).removeEntry(generation, { recursive: true });
    });
  }

  /**
   * Removes what is not named, and tells how much that was. Nobody may write meanwhile.
   * @param named  Of each generation that is to stay the files that are.
   */
  async sweep(named: ReadonlyMap<string, ReadonlySet<string>>): Promise<number> {
    let nSwept = 0;
    const removeFrom = (folder: Folder, name: string) =>
      this.#unlessRefused(async () => {
        await folder.removeEntry(name, { recursive: true });
        nSwept++;
      });
    await this.#unlessRefused(async () => {
      if (!this.#host.files) return;
      const root = await this.#open();
      for (const generation of await namesIn(root)) {
        const kept = named.get(generation);
        if (!kept) {
          await removeFrom(root, generation);
          continue;
        }
        const folder = await this.#folder(generation);
        for (const name of await namesIn(folder)) if (!kept.has(name)) await removeFrom(folder, name);
      }
    });
    return nSwept;
  }

  readonly #pause = () => this.#host.clock.sleep(0);

  /** Whether files work here, tried with a small one. Found out once, when the first is to be written. */
  async #canWrite(): Promise<boolean> {
    this.#works ??= this.#try();
    try {
      return await this.#works;
    } catch (error) {
      // A full disk: there may be room the next time.
      this.#works = null;
      throw error;
    }
  }

  async #try(): Promise<boolean> {
    const name = newName(this.#host);
    try {
      const root = await this.#open();
      await writeFile(root, name, new TextEncoder().encode(name), this.#pause);
      const found = new TextDecoder().decode(await readFile(root, name));
      await root.removeEntry(name);
      if (found !== name) throw new DOMException('What was written was not read.', 'NotReadableError');
      return true;
    } catch (error) {
      if (errorName(error) === 'QuotaExceededError') throw error;
      this.#giveUp(error);
      return false;
    }
  }

  #giveUp(error: unknown): void {
    if (!(error instanceof DOMException)) throw error;
    this.#works = Promise.resolve(false);
    const message = `Weights are kept in IndexedDB, which is slower: this origin's files refuse (${error.name}: ${error.message}).`;
    this.#onNotice({ kind: 'slow-storage', message });
  }

  async #open(): Promise<Folder> {
    this.#root ??= this.#host.files!.root().then((root) => root.getDirectoryHandle(ROOT, { create: true }));
    const opening = this.#root;
    try {
      return await opening;
    } catch (error) {
      if (this.#root === opening) this.#root = null;
      throw error;
    }
  }

  async #folder(generation: string): Promise<Folder> {
    if (!this.#host.files) throw new DOMException('This origin has no files.', 'NotFoundError');
    const known = this.#folders.get(generation);
    if (known) return known;
    const folder = await (await this.#open()).getDirectoryHandle(generation, { create: true });
    this.#folders.set(generation, folder);
    return folder;
  }

  async #unlessRefused(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
    }
  }
}

async function namesIn(folder: Folder): Promise<string[]> {
  const names: string[] = [];
  for await (const name of folder.keys()) names.push(name);
  return names;
}
