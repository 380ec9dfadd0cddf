/**
 * Conversations in this origin's storage, in a database of their own: what was said as ids, and the keys and values of
 * each stretch of 32 positions, so that going on costs no computing.
 */
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, wrap } from 'idb';
import { StoreError } from '../errors/index.ts';
import type { Host } from '../host/index.ts';
import { hex } from './manifest.ts';
import { withinQuota } from './quota.ts';

const NAME = 'floe-conversations';
const SCHEMA_VERSION = 1;

/** All but the bytes of its blocks. */
export interface SavedConversation {
  readonly name: string;
  /** What weights computed it: a hash. */
  readonly model: string;
  /** How keys and values lie in a block, and which a window keeps. */
  readonly layout: string;
  readonly prompt: Uint32Array;
  readonly answer: Uint32Array;
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
}

interface Schema extends DBSchema {
  conversations: { key: string; value: Stored };
  blocks: { key: [name: string, position: number]; value: Uint8Array };
}

export class ConversationStore {
  private db: Promise<IDBPDatabase<Schema>> | null = null;

  constructor(
    private readonly host: Host,
    private readonly factory: IDBFactory,
  ) {}

  /**
   * Replaces what is saved under that name, in one transaction: `bytes` are the blocks that changed, by position; the
   * others stay as they are.
   * @throws {StoreError} `store/quota`, `store/blocked`.
   */
  async put(conversation: SavedConversation, bytes: ReadonlyMap<number, Uint8Array>): Promise<void> {
    const { name } = conversation;
    const sha256 = await this.hashOf(conversation);
    const neededBytes = [...bytes.values()].reduce((sum, { length }) => sum + length, 0);
    await withinQuota(this.host, neededBytes, () =>
      this.run('readwrite', async (tx) => {
        const [conversations, blocks] = [tx.objectStore('conversations'), tx.objectStore('blocks')];
        const kept = new Set(conversation.blocks.map(({ position }) => position));
        const before = await blocks.getAllKeys(rangeOf(name));
        await Promise.all([
          conversations.put({ name, conversation, sha256 }),
          ...[...bytes].map(([position, one]) => blocks.put(one, [name, position])),
          ...before.filter(([, position]) => !kept.has(position)).map((key) => blocks.delete(key)),
        ]);
      }),
    );
  }

  /** Null where nothing is saved under that name; 'damaged' where what is saved is not what was written. */
  async get(name: string): Promise<SavedConversation | 'damaged' | null> {
    const stored = await this.run('readonly', (tx) => tx.objectStore('conversations').get(name));
    if (!stored) return null;
    return (await this.hashOf(stored.conversation)) === stored.sha256 ? stored.conversation : 'damaged';
  }

  /** The bytes of its blocks by position: of those that are what was written. */
  async blocks({ name, blocks }: SavedConversation): Promise<Map<number, Uint8Array>> {
    const found = await this.run('readonly', (tx) =>
      Promise.all(blocks.map(({ position }) => tx.objectStore('blocks').get([name, position]))),
    );
    const sound = new Map<number, Uint8Array>();
    for (const [i, bytes] of found.entries()) {
      const { position, sha256 } = blocks[i]!;
      if (bytes && hex(await this.host.sha256(bytes)) === sha256) sound.set(position, bytes);
    }
    return sound;
  }

  async list(): Promise<SavedConversation[]> {
    const all = await this.run('readonly', (tx) => tx.objectStore('conversations').getAll());
    return all.map(({ conversation }) => conversation);
  }

  /** One that is not there is no error. */
  async delete(name: string): Promise<void> {
    await this.run('readwrite', (tx) =>
      Promise.all([tx.objectStore('conversations').delete(name), tx.objectStore('blocks').delete(rangeOf(name))]),
    );
  }

  async hash(bytes: Uint8Array): Promise<string> {
    return hex(await this.host.sha256(bytes));
  }

  close(): void {
    const { db } = this;
    this.db = null;
    db?.then(
      (opened) => opened.close(),
      () => undefined,
    );
  }

  private async hashOf({ prompt, answer, ...rest }: SavedConversation): Promise<string> {
    return this.hash(new TextEncoder().encode(JSON.stringify({ ...rest, prompt: [...prompt], answer: [...answer] })));
  }

  private async run<M extends 'readonly' | 'readwrite', T>(
    mode: M,
    work: (tx: IDBPTransaction<Schema, ('conversations' | 'blocks')[], M>) => Promise<T>,
  ): Promise<T> {
    const db = await this.open();
    const tx = db.transaction(['conversations', 'blocks'], mode);
    tx.done.catch(() => undefined);
    const result = await work(tx);
    await tx.done;
    return result;
  }

  private open(): Promise<IDBPDatabase<Schema>> {
    this.db ??= this.connect();
    return this.db;
  }

  private async connect(): Promise<IDBPDatabase<Schema>> {
    const request = this.factory.open(NAME, SCHEMA_VERSION);
    request.addEventListener('upgradeneeded', () => {
      request.result.createObjectStore('conversations', { keyPath: 'name' });
      request.result.createObjectStore('blocks');
    });
    try {
      const db = await (wrap(request) as Promise<unknown> as Promise<IDBPDatabase<Schema>>);
      // Dropped by the browser, or wanted by another tab: it is opened again at the next call.
      for (const event of ['versionchange', 'close'] as const) db.addEventListener(event, () => this.close());
      return db;
    } catch (cause) {
      this.db = null;
      throw new StoreError('store/blocked', "This origin's storage of conversations can't be opened.", {
        remedy: 'Close other tabs of this site and reload. Nothing else is lost by it.',
        retryable: true,
        cause,
      });
    }
  }
}

function rangeOf(name: string): IDBKeyRange {
  return IDBKeyRange.bound([name, 0], [name, Number.MAX_SAFE_INTEGER]);
}
