/** Conversations that outlive the page: what is saved of them while they go on, and how they come back. */
import { ContextError, RequestError, StoreError } from '../errors/index.ts';
import type { Conversation, Engine } from '../generate/index.ts';
import type { Host } from '../host/index.ts';
import { ConversationStore, type ModelHashes, type SavedConversation } from '../store/index.ts';
import { isSameModel } from './fingerprint.ts';
import { Keeper, portionsOf, type Standing } from './keeper.ts';

/** Blocks out of storage; `open` puts them in the cache, as a conversation that goes on. */
export interface SavedBlocks {
  readonly nBlocks: number;
  readonly open: () => Conversation;
}

/** Of the bytes within a block: another order of them is another version. */
const LAYOUT_VERSION = 1;
/** Bytes read back at once of a conversation that has to be gone at once. */
const SPILL_BYTES = 256 << 20;

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

  /**
   * Writes a conversation that nobody answers in and that is closed now: its bytes are on their way from the GPU when this
   * returns. Null where there is no storage, or they are more than are read back at once.
   */
  spill(name: string, conversation: Conversation): Promise<void> | null {
    const { kv } = this.engine;
    const length = Math.min(conversation.length, conversation.heldIds.length);
    const held = conversation.seat.sequence.heldBlocks().filter(({ position }) => position < length);
    const { store } = this;
    if (!store || held.length * kv.savedBytes > SPILL_BYTES) return null;
    const reading = kv.read(held.map(({ block }) => block));
    const prompt = Uint32Array.from(conversation.heldIds);
    const layout = this.layout();
    const blockBytes = kv.savedBytes;
    const write = async () => {
      const read = await reading;
      const model = await this.weights.hashes();
      await store.writer(name).save(read.length * blockBytes, async (put) => {
        const hashes: string[] = [];
        for (const portion of portionsOf(read, blockBytes)) hashes.push(...(await put(portion)));
        const blocks = held.map(({ position }, i) => ({ position, sha256: hashes[i]! }));
        // It comes back to this visit, which knows its answers.
        const said = { prompt, answer: new Uint32Array(0), answers: [], request: null };
        return { name, model, layout, ...said, length, blocks, blockBytes, savedMs: this.host.clock.epochMs() };
      });
    };
    return write();
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
   * computed again. `open` puts them in the cache.
   * @throws {ContextError} `context/damaged`: some of their bytes are not what was saved; its ids are sound.
   * @throws {StoreError} `store/evicted`: another was saved under its name meanwhile.
   */
  async blocksOf(saved: SavedConversation): Promise<SavedBlocks | null> {
    if (saved.layout !== this.layout() || saved.blocks.length === 0) return null;
    const blocks = await this.needed().blocks(saved);
    if (blocks.size < saved.blocks.length) throw damagedBlocks(saved, saved.blocks.length - blocks.size);
    const open = () => this.engine.restore(idsOf(saved), saved.length, blocks);
    return { nBlocks: blocks.size, open };
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
