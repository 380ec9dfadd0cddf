/**
 * Conversations in this origin's storage, in a database of their own: what was said as ids, and the keys and values of
 * each stretch of 32 positions, so that going on costs no computing.
 *  1. A block lies under the hash of its bytes: a save never writes over what another one named.
 *  2. A conversation is written last, in a transaction that has seen each block it names; what it no longer names goes
 *     with that. So a crash leaves what was saved before, or nothing.
 *  3. Under one name one writer saves at a time, in whatever tab; who began last goes on, the others are told.
 */
import type { DBSchema } from 'idb';
import { StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { Connection, type DatabaseLayout, type Transaction } from './connection.ts';
import { conversationLock, ifFree, withLock } from './locks.ts';
import { hex, newName } from './manifest.ts';
import { withinQuota } from './quota.ts';

/** What tells a model from others, as far as it is known; SHA-256 in hex. */
export interface ModelHashes {
  /** Of the table of its tensors and of what is soon read. */
  readonly outline: string;
  /** Of all weights but the experts; null where they are not stored. */
  readonly dense: string | null;
  /** Of all experts; null where there are none, or not all are stored. */
  readonly experts: string | null;
}

/** A text that a model wrote, and by which ids: a tokenizer may make others of it. */
export interface OwnAnswer {
  readonly text: string;
  readonly ids: readonly number[];
}

/** All but the bytes of its blocks. */
export interface SavedConversation {
  readonly name: string;
  /** What weights computed it; the store does not look. */
  readonly model: ModelHashes;
  /** How keys and values lie in a block, and which a window keeps. */
  readonly layout: string;
  readonly prompt: Uint32Array;
  readonly answer: Uint32Array;
  /** Of the model's answers among those ids, the texts. */
  readonly answers: readonly OwnAnswer[];
  /** What the answer was asked with, for who goes on with it; the store does not look. */
  readonly request: unknown;
  /** Positions whose keys and values are saved, as far as the window keeps them. */
  readonly length: number;
  /** Where each block's stretch begins, and the SHA-256 of its bytes in hex. */
  readonly blocks: readonly { readonly position: number; readonly sha256: string }[];
  readonly blockBytes: number;
  /** Milliseconds since 1970. */
  readonly savedMs: number;
}

interface Stored {
  readonly name: string;
  readonly conversation: SavedConversation;
  /** Of the conversation, in hex. */
  readonly sha256: string;
  /** Who saved it. */
  readonly writer: string;
}

interface Schema extends DBSchema {
  conversations: { key: string; value: Stored };
  blocks: { key: [name: string, sha256: string]; value: Uint8Array };
}

const LAYOUT: DatabaseLayout<Schema> = {
  name: 'floe-conversations',
  version: 2,
  stores: ['conversations', 'blocks'],
  upgrade: (db) => {
    // Blocks of version 1 lay under their positions.
    for (const name of [...db.objectStoreNames]) db.deleteObjectStore(name);
    db.createObjectStore('conversations', { keyPath: 'name' });
    db.createObjectStore('blocks');
  },
};

/** Puts blocks; resolves with their hashes. */
export type PutBlocks = (blocks: readonly Uint8Array[]) => Promise<string[]>;

/** Saves under one name, again and again. */
export interface ConversationWriter {
  /**
   * Replaces what is saved under its name by what `work` resolves with, or not, where that is null. `work` puts the blocks
   * that are new, as many at once as it likes; the others are there.
   * @param neededBytes  Of all that is new, for the message should the quota end here.
   * @throws {StoreError} `store/quota`; `store/blocked`; `store/evicted`: what it saved was deleted meanwhile, or another
   *   one saves under that name now.
   */
  readonly save: (neededBytes: number, work: (put: PutBlocks) => Promise<SavedConversation | null>) => Promise<void>;
}

export class ConversationStore {
  private readonly connection: Connection<Schema>;
  private swept: Promise<void> | null = null;

  constructor(
    private readonly host: Host,
    factory: IDBFactory,
  ) {
    this.connection = new Connection(host, factory, LAYOUT);
  }

  /** Its first save takes the name from whoever had it. */
  writer(name: string): ConversationWriter {
    const writer = newName(this.host);
    let hasSaved = false;
    const save: ConversationWriter['save'] = async (neededBytes, work) => {
      this.swept ??= this.sweep().catch(() => undefined);
      await this.swept;
      const put: PutBlocks = async (blocks) => {
        const named = await Promise.all(blocks.map(async (bytes) => ({ bytes, sha256: await this.hash(bytes) })));
        await withinQuota(this.host, neededBytes, () => this.putBlocks(name, named));
        return named.map(({ sha256 }) => sha256);
      };
      await withLock(this.host, conversationLock(name), undefined, async () => {
        try {
          const conversation = await work(put);
          if (!conversation) return;
          const stored = { name, conversation, sha256: await this.hashOf(conversation), writer };
          await withinQuota(this.host, neededBytes, () => this.put(stored, hasSaved ? writer : null));
          hasSaved = true;
        } catch (error) {
          await this.removeUnnamed(name).catch(() => undefined);
          throw error;
        }
      });
    };
    return { save };
  }

  /** Null where nothing is saved under that name; 'damaged' where what is saved is not what was written. */
  async get(name: string): Promise<SavedConversation | 'damaged' | null> {
    const stored = await this.read((tx) => tx.objectStore('conversations').get(name));
    if (!stored) return null;
    return (await this.hashOf(stored.conversation)) === stored.sha256 ? stored.conversation : 'damaged';
  }

  /**
   * The bytes of some of its blocks by position: of those that are what was written.
   * @throws {StoreError} `store/evicted`: another was saved under its name meanwhile, or it was deleted.
   */
  async blocks(saved: SavedConversation, blocks = saved.blocks): Promise<Map<number, Uint8Array>> {
    const { name } = saved;
    const found = await this.read((tx) =>
      Promise.all(blocks.map(({ sha256 }) => tx.objectStore('blocks').get([name, sha256]))),
    );
    const sound = new Map<number, Uint8Array>();
    for (const [i, bytes] of found.entries()) {
      const { position, sha256 } = blocks[i]!;
      if (bytes && (await this.hash(bytes)) === sha256) sound.set(position, bytes);
    }
    if (sound.size < blocks.length && !(await this.isStill(saved))) throw superseded(name);
    return sound;
  }

  async list(): Promise<SavedConversation[]> {
    const all = await this.read((tx) => tx.objectStore('conversations').getAll());
    return all.map(({ conversation }) => conversation);
  }

  /** One that is not there is no error. */
  async delete(name: string): Promise<void> {
    await withLock(this.host, conversationLock(name), undefined, () =>
      this.write(async (tx) => {
        await Promise.all([
          tx.objectStore('conversations').delete(name),
          tx.objectStore('blocks').delete(rangeOf(name)),
        ]);
      }),
    );
  }

  close(): void {
    this.connection.close();
  }

  private putBlocks(name: string, named: readonly { readonly bytes: Uint8Array; readonly sha256: string }[]) {
    return this.write(async (tx) => {
      await Promise.all(named.map(({ bytes, sha256 }) => tx.objectStore('blocks').put(bytes, [name, sha256])));
    });
  }

  /** Writes a conversation whose blocks are there, if it is still `writer`'s that it replaces. */
  private put(stored: Stored, writer: string | null): Promise<void> {
    const { name, conversation } = stored;
    const named = new Set(conversation.blocks.map(({ sha256 }) => sha256));
    return this.write(async (tx) => {
      const [conversations, blocks] = [tx.objectStore('conversations'), tx.objectStore('blocks')];
      const [before, keys] = await Promise.all([conversations.get(name), blocks.getAllKeys(rangeOf(name))]);
      const there = new Set(keys.map(([, sha256]) => sha256));
      if ((writer !== null && before?.writer !== writer) || [...named].some((sha256) => !there.has(sha256))) {
        tx.abort();
        throw superseded(name);
      }
      const gone = keys.filter(([, sha256]) => !named.has(sha256));
      await Promise.all([conversations.put(stored), ...gone.map((key) => blocks.delete(key))]);
    });
  }

  /** Removes what saves that were cut off have left, unless somebody saves under that name just now. */
  private async sweep(): Promise<void> {
    const [keys, stored] = await this.read((tx) =>
      Promise.all([tx.objectStore('blocks').getAllKeys(), tx.objectStore('conversations').getAll()]),
    );
    const named = new Set(
      stored.flatMap(({ name, conversation }) => conversation.blocks.map(({ sha256 }) => `${sha256} ${name}`)),
    );
    const names = new Set(keys.filter(([name, sha256]) => !named.has(`${sha256} ${name}`)).map(([name]) => name));
    for (const name of names) await ifFree(this.host, conversationLock(name), () => this.removeUnnamed(name));
  }

  private removeUnnamed(name: string): Promise<void> {
    return this.write(async (tx) => {
      const blocks = tx.objectStore('blocks');
      const [stored, keys] = await Promise.all([
        tx.objectStore('conversations').get(name),
        blocks.getAllKeys(rangeOf(name)),
      ]);
      const named = new Set(stored?.conversation.blocks.map(({ sha256 }) => sha256));
      await Promise.all(keys.filter(([, sha256]) => !named.has(sha256)).map((key) => blocks.delete(key)));
    });
  }

  private async isStill(saved: SavedConversation): Promise<boolean> {
    const stored = await this.read((tx) => tx.objectStore('conversations').get(saved.name));
    return stored?.sha256 === (await this.hashOf(saved));
  }

  private async hash(bytes: Uint8Array): Promise<string> {
    return hex(await this.host.sha256(bytes));
  }

  private async hashOf({ prompt, answer, ...rest }: SavedConversation): Promise<string> {
    return this.hash(new TextEncoder().encode(JSON.stringify({ ...rest, prompt: [...prompt], answer: [...answer] })));
  }

  private read<T>(work: (tx: Transaction<Schema, 'readonly'>) => Promise<T>): Promise<T> {
    return this.connection.run('readonly', 'relaxed', work);
  }

  private write(work: (tx: Transaction<Schema, 'readwrite'>) => Promise<void>): Promise<void> {
    return this.connection.run('readwrite', 'relaxed', work);
  }
}

function rangeOf(name: string): IDBKeyRange {
  // An array comes behind every string.
  return IDBKeyRange.bound([name], [name, []]);
}

function superseded(name: string): StoreError {
  const quoted = JSON.stringify(name);
  return new StoreError('store/evicted', `What was saved as ${quoted} was deleted, or another one is saved so now.`, {
    remedy: 'Save under another name, or in one tab only.',
    details: { name },
  });
}
