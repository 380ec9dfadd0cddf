/** Conversations that outlive the page: what is saved of them while they go on, and how they come back. */
import { ContextError, RequestError, StoreError } from '../errors/index.ts';
import type { Conversation, Engine } from '../generate/index.ts';
import type { Host } from '../host/index.ts';
import { portionsOf } from '../kv/index.ts';
import { ConversationStore, type ModelHashes, type SavedConversation } from '../store/index.ts';
import { isSameModel } from './fingerprint.ts';
import { Keeper, type Standing } from './keeper.ts';

/** Blocks in storage; `open` puts them in the cache, as a conversation that goes on. Null: it is better computed again. */
export interface SavedBlocks {
  readonly nBlocks: number;
  readonly open: () => Promise<Conversation | null>;
}

/** A conversation on its way to storage. */
export interface Spill {
  /** Its bytes are off the GPU, or won't be read any more: its blocks may be another's. */
  readonly read: Promise<void>;
  readonly written: Promise<void>;
}

/** Of the bytes within a block: another order of them is another version. */
const LAYOUT_VERSION = 1;

export class SavedConversations {
  private readonly store: ConversationStore | null;
  /** By name, who saves under it. */
  private readonly keepers = new Map<string, Keeper>();

  constructor(
    private readonly host: Host,
    private readonly engine: Engine,
    /** By what the model's weights are known again, and what acts on them now. */
    private readonly weights: { readonly hashes: () => Promise<ModelHashes>; readonly acting: () => string },
  ) {
    this.store = host.indexedDB && new ConversationStore(host, host.indexedDB);
  }

  /** Saves an answer under a name as it grows. */
  async keeper(
    name: string,
    conversation: Conversation,
    standing: Standing,
    onError: (error: unknown) => void,
  ): Promise<Keeper> {
    const store = this.needed();
    if (name === '' || name.startsWith('\0'))
      throw new RequestError('request/invalid', 'A conversation needs a name to be saved.', { remedy: 'Name it.' });
    const model = await this.weights.hashes();
    const fixed = { name, model, layout: this.layout(), blockBytes: this.engine.kv.savedBytes };
    const { host, engine } = this;
    const onEnd = () => {
      if (this.keepers.get(name) === made) this.keepers.delete(name);
    };
    const answer = { host, engine, conversation, fixed, standing, onError, onEnd };
    const made = new Keeper({ writer: store.writer(name), ...answer });
    const before = this.keepers.get(name);
    // At once: one that is made meanwhile makes this one give way.
    this.keepers.set(name, made);
    await before?.giveWay();
    return made;
  }

  /** Of any model, under any name. */
  async all(): Promise<SavedConversation[]> {
    return (await this.store?.list()) ?? [];
  }

  /** What is saved of this model's conversations, the newest first. */
  async list(): Promise<SavedConversation[]> {
    const model = await this.weights.hashes();
    const all = await this.all();
    return all.filter((one) => isSameModel(one.model, model)).sort((a, b) => b.savedMs - a.savedMs);
  }

  /** Writes a conversation that nobody answers in, a portion after another. Null where there is no storage. */
  spill(name: string, conversation: Conversation): Spill | null {
    const { store } = this;
    if (!store) return null;
    let isRead = () => {};
    const read = new Promise<void>((resolve) => {
      isRead = resolve;
    });
    return { read, written: this.writeAll(store, name, conversation, isRead).finally(isRead) };
  }

  private async writeAll(store: ConversationStore, name: string, conversation: Conversation, isRead: () => void) {
    const { kv } = this.engine;
    const length = Math.min(conversation.length, conversation.heldIds.length);
    const held = conversation.seat.sequence.heldBlocks().filter(({ position }) => position < length);
    const prompt = Uint32Array.from(conversation.heldIds);
    const [layout, blockBytes] = [this.layout(), kv.savedBytes];
    const portions = portionsOf(held, blockBytes);
    const readOne = (i: number) => kv.read(portions[i]!.map(({ block }) => block));
    // The first, and of most the only one, does not wait for the store.
    const first = readOne(0);
    first.then(() => portions.length === 1 && isRead()).catch(() => undefined);
    const model = await this.weights.hashes();
    await store.writer(name).save(held.length * blockBytes, async (put) => {
      const hashes = await put(await first);
      for (let i = 1; i < portions.length; i++) {
        const bytes = await readOne(i);
        if (i === portions.length - 1) isRead();
        hashes.push(...(await put(bytes)));
      }
      const blocks = held.map(({ position }, i) => ({ position, sha256: hashes[i]! }));
      // It comes back to this visit, which knows its answers.
      const said = { prompt, answer: new Uint32Array(0), answers: [], request: null };
      return { name, model, layout, ...said, length, blocks, blockBytes, savedMs: this.host.clock.epochMs() };
    });
  }

  async delete(name: string): Promise<void> {
    await this.store?.delete(name);
  }

  /**
   * What is saved under that name.
   * @throws {ContextError} `context/not-saved`; `context/damaged`: its ids are not what was saved; `context/other-model`.
   */
  async find(name: string): Promise<SavedConversation> {
    const saved = await this.needed().get(name);
    if (saved === null)
      throw new ContextError('context/not-saved', `No conversation is saved as ${JSON.stringify(name)}.`, {
        remedy: 'Name one of `conversations.list()`, or begin it anew.',
        details: { name },
      });
    if (saved === 'damaged') throw damagedIds(name);
    if (isSameModel(saved.model, await this.weights.hashes())) return saved;
    throw new ContextError('context/other-model', `${JSON.stringify(name)} was saved by another model.`, {
      remedy: 'Load the model it was saved by, with the same weights; or begin it anew.',
      details: { name },
    });
  }

  /**
   * Its keys and values; null where they were kept in another way, by other options of the context: then its ids are
   * computed again. `open` reads them, a portion after another, and rejects with
   * {ContextError} `context/damaged`: some of their bytes are not what was saved; its ids are sound.
   * {StoreError} `store/evicted`: another was saved under its name meanwhile.
   */
  blocksOf(saved: SavedConversation): SavedBlocks | null {
    if (saved.layout !== this.layout() || saved.blocks.length === 0) return null;
    return { nBlocks: saved.blocks.length, open: () => this.open(saved) };
  }

  private async open(saved: SavedConversation): Promise<Conversation> {
    const { engine } = this;
    const positions = saved.blocks.map(({ position }) => position);
    const conversation = engine.restore(idsOf(saved), saved.length, positions);
    const places = new Map(conversation.seat.sequence.heldBlocks().map((one) => [one.position, one.block]));
    try {
      let nDamaged = 0;
      for (const portion of portionsOf(saved.blocks, engine.kv.savedBytes)) {
        const read = await this.needed().blocks(saved, portion);
        for (const [position, bytes] of read) engine.kv.write(places.get(position)!, bytes);
        nDamaged += portion.length - read.size;
      }
      if (nDamaged > 0) throw damagedBlocks(saved, nDamaged);
      return conversation;
    } catch (error) {
      conversation.close();
      throw error;
    }
  }

  close(): void {
    this.store?.close();
  }

  private needed(): ConversationStore {
    if (this.store) return this.store;
    throw new StoreError('store/blocked', 'There is no storage here that conversations could be saved in.', {
      remedy: 'Save them in a page, with site data allowed.',
    });
  }

  /** What decides the bytes of its blocks, beside the weights. */
  private layout(): string {
    const { kv, decoder } = this.engine;
    const { window, nSinks, slides, chunkTokens } = kv.window;
    const acting = this.weights.acting();
    const shape = { version: LAYOUT_VERSION, format: kv.format, window, nSinks, slides, chunkTokens };
    return JSON.stringify({ ...shape, blockBytes: kv.savedBytes, acting, dropBelow: decoder.dropBelow });
  }
}

/** Of prompt and answer. */
export function idsOf({ prompt, answer }: SavedConversation): number[] {
  return [...prompt, ...answer];
}

function damagedIds(name: string): ContextError {
  return new ContextError('context/damaged', `What is saved as ${JSON.stringify(name)} is damaged.`, {
    remedy: 'Begin it anew: nothing of it can be trusted.',
    details: { name },
  });
}

function damagedBlocks({ name, blocks }: SavedConversation, nDamaged: number): ContextError {
  return new ContextError(
    'context/damaged',
    `Of what is saved as ${JSON.stringify(name)}, ${nDamaged} of ${blocks.length} blocks of keys and values are damaged.`,
    {
      remedy: 'Its ids are sound: resume it with `{ rebuild: true }`, which computes the rest again.',
      details: { name, nDamaged, nBlocks: blocks.length },
    },
  );
}
