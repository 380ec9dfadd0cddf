/** Conversations that made room for others: kept in storage, and back when they are gone on with. */
import { type Conversation, commonLength } from '../generate/index.ts';
import { KV_BLOCK } from '../kernels/index.ts';
import type { SavedBlocks, SavedConversations } from './savedConversations.ts';
import type { ConversationCounts } from './types.ts';

interface Kept {
  readonly ids: readonly number[];
  /** False where it could not be written. */
  readonly written: Promise<boolean>;
}

/** Takes blocks into the cache; whether there was room. */
export type Adopt = (blocks: SavedBlocks) => Promise<boolean>;

/** Names that no caller can give: what an earlier visit left under them is swept when it is a day old. */
const PREFIX = '\0spilled ';
const SWEPT_MS = 24 * 3600 * 1000;
/** In storage at once. */
const MOST_KEPT = 32;

export class Spilled {
  private readonly kept = new Map<string, Kept>();
  private readonly visit: string;
  private n = 0;
  private swept: Promise<void> | null = null;
  private readonly counted = { spills: 0, returns: 0, forgotten: 0 };

  constructor(
    private readonly saved: SavedConversations,
    random: () => number,
    private readonly nowMs: () => number,
  ) {
    this.visit = `${PREFIX}${random().toString(36).slice(2)} `;
  }

  get counts(): Omit<ConversationCounts, 'live'> {
    return { ...this.counted, spilled: this.kept.size };
  }

  /** Takes what it holds; resolves when its blocks may be another's. One of less than a block is soon computed again. */
  async keep(conversation: Conversation): Promise<void> {
    const { heldIds } = conversation;
    if (Math.min(heldIds.length, conversation.length) < KV_BLOCK) return;
    const name = `${this.visit}${this.n++}`;
    const spill = this.saved.spill(name, conversation);
    if (!spill) {
      this.counted.forgotten++;
      return;
    }
    this.counted.spills++;
    const written = spill.written.then(
      () => true,
      () => {
        this.kept.delete(name);
        this.counted.forgotten++;
        return false;
      },
    );
    this.kept.set(name, { ids: heldIds, written });
    this.dropOldest();
    this.swept ??= written.then(() => this.sweep()).catch(() => {});
    await spill.read;
  }

  /** Brings the one that shares most of these ids out of storage, if that is more than `nShared`; `adopt` says whether it fits. */
  async bring(ids: readonly number[], nShared: number, adopt: Adopt): Promise<void> {
    let best: { name: string; kept: Kept; n: number } | null = null;
    for (const [name, kept] of this.kept) {
      const n = commonLength(kept.ids, ids);
      if (n >= KV_BLOCK && n > Math.max(nShared, best?.n ?? 0)) best = { name, kept, n };
    }
    if (!best || !(await best.kept.written)) return;
    const { name } = best;
    try {
      const blocks = this.saved.blocksOf(await this.saved.find(name));
      // Where there is no room now there may be later.
      if (blocks && !(await adopt(blocks))) return;
      if (blocks) this.counted.returns++;
    } catch {
      // Damaged, or gone with the origin's storage: its ids are in the prompt, and computed again.
      this.counted.forgotten++;
    }
    this.kept.delete(name);
    void this.saved.delete(name).catch(() => {});
  }

  /** Nothing of it can be gone on with. */
  async forget(): Promise<void> {
    const names = [...this.kept.keys()];
    const written = [...this.kept.values()].map((kept) => kept.written);
    this.kept.clear();
    await Promise.all(written);
    await Promise.all(names.map((name) => this.saved.delete(name).catch(() => {})));
  }

  private dropOldest(): void {
    if (this.kept.size <= MOST_KEPT) return;
    const [name, { written }] = [...this.kept][0]!;
    this.kept.delete(name);
    this.counted.forgotten++;
    void written.then(() => this.saved.delete(name)).catch(() => {});
  }

  private async sweep(): Promise<void> {
    const old = (await this.saved.all()).filter(
      ({ name, savedMs }) => name.startsWith(PREFIX) && savedMs < this.nowMs() - SWEPT_MS,
    );
    for (const { name } of old) await this.saved.delete(name);
  }
}

/** Whether a name is one of these. */
export function isSpilled(name: string): boolean {
  return name.startsWith(PREFIX);
}
