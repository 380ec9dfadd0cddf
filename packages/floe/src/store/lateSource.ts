/** A model's source, opened when it is first needed and kept; held to the file whose records are stored. */
import { modelId } from './download.ts';
import type { Manifest } from './manifest.ts';
import type { ByteSource } from './source.ts';
import { sourceChanged } from './sources/request.ts';

export class LateSource {
  readonly #open: () => Promise<ByteSource>;
  #source: Promise<ByteSource> | null;
  #opened: ByteSource | null;
  /** Of sources that were opened and refused. */
  #fetchedBytes = 0;

  /** `opened`: where a download has just opened it, with what it learned of server and file. */
  constructor(open: () => Promise<ByteSource>, opened: ByteSource | null) {
    this.#open = open;
    this.#opened = opened;
    this.#source = opened && Promise.resolve(opened);
  }

  get fetchedBytes(): number {
    return this.#fetchedBytes + (this.#opened?.fetchedBytes ?? 0);
  }

  /**
   * The source, of that very file.
   * @throws {NetError} it can't be reached now, or `net/source-changed`: it is another file by now. Later it may not be.
   */
  async get({ url, model }: Manifest): Promise<ByteSource> {
    this.#source ??= this.#open();
    const opening = this.#source;
    try {
      const source = await opening;
      if (this.#source === opening) this.#opened = source;
      const found = modelId(url, source);
      if (found === model) return source;
      if (this.#source === opening) await this.close();
      throw sourceChanged(source.name, model, found);
    } catch (error) {
      if (this.#source === opening) this.#source = null;
      throw error;
    }
  }

  async close(): Promise<void> {
    const source = this.#source;
    this.#source = null;
    this.#fetchedBytes += this.#opened?.fetchedBytes ?? 0;
    this.#opened = null;
    await source?.then(
      (opened) => opened.close(),
      () => undefined, // It never opened.
    );
  }
}
