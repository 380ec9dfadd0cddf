/**
 * The pager decides which expert lies in which slot. A state machine without I/O: it is told what was routed, what
 * arrived and what failed, and says what to load where. `cache.ts` does what it says; a simulation does so without a GPU.
 *
 *  1. A slot is named (`slotOf`) only after its bytes were written, and no two experts have one slot.
 *  2. A wanted (pinned) expert is never evicted, nor is a slot handed out twice before its load has ended.
 *  3. Every claim ends: by `arrived`, or by `failed`, which frees the slot.
 *  4. Of a layer that is held nobody is evicted: its routing may have run, and what reads its experts is not submitted.
 *  5. A guess never evicts an expert that was used by the last two tokens, nor one that is expected.
 *  6. A demand evicts one that is expected only where nobody else of its size may go.
 *
 * A slot that a queued submission reads may be handed out: WebGPU's queue is in order, so the bytes of the next expert
 * are written behind what was submitted before, and what is submitted later finds the old one absent.
 */
import { ABSENT } from '../kernels/index.ts';
import type { CachePolicy } from './policy.ts';

/** An expert that is to be loaded, and where to. */
export interface Claim {
  readonly key: number;
  readonly slot: number;
  /** Who lay there: no longer named from now on. */
  readonly evicted: number | null;
}

export interface PagerClass {
  readonly layers: readonly number[];
  readonly nSlots: number;
}

/** Tokens for which a used expert is safe from guesses, and after which one is expected no longer. */
const SAFE_TOKENS = 2;
const EMPTY = -1;

export class Pager {
  /** [nLayers · nExperts] the slot that holds an expert, or ABSENT. */
  readonly slotOf: Uint32Array;
  private readonly holder: Int32Array;
  private readonly loading: Uint8Array;
  private readonly pins: Uint16Array;
  private readonly usedAt: Float64Array;
  private readonly expectedAt: Float64Array;
  /** [nLayers] how often each is held. */
  private readonly holds: Uint16Array;
  private readonly classOf: Uint8Array;
  private readonly firstSlot: readonly number[];
  private nNamed = 0;

  constructor(
    private readonly size: { readonly nLayers: number; readonly nExperts: number },
    private readonly classes: readonly PagerClass[],
    private readonly policy: CachePolicy,
  ) {
    const nKeys = size.nLayers * size.nExperts;
    this.slotOf = new Uint32Array(nKeys).fill(ABSENT);
    this.loading = new Uint8Array(nKeys);
    this.pins = new Uint16Array(nKeys);
    this.usedAt = new Float64Array(nKeys).fill(Number.NEGATIVE_INFINITY);
    this.expectedAt = new Float64Array(nKeys).fill(Number.NEGATIVE_INFINITY);
    this.holds = new Uint16Array(size.nLayers);
    this.classOf = new Uint8Array(size.nLayers);
    let first = 0;
    this.firstSlot = classes.map(({ layers, nSlots }, i) => {
      for (const layer of layers) this.classOf[layer] = i;
      first += nSlots;
      return first - nSlots;
    });
    this.holder = new Int32Array(first).fill(EMPTY);
  }

  /** Whether every expert has a slot: then nothing is ever absent. */
  get allResident(): boolean {
    const nKeys = this.classes.reduce((sum, { layers }) => sum + layers.length * this.size.nExperts, 0);
    return this.nNamed === nKeys;
  }

  isNamed(key: number): boolean {
    return this.slotOf[key] !== ABSENT;
  }

  isLoading(key: number): boolean {
    return this.loading[key] === 1;
  }

  /** A routed use. */
  used(key: number, token: number, weight = 1): void {
    this.policy.use(key, token, weight);
    this.usedAt[key] = token;
  }

  /** From now on `key` stays where it is, or comes and then stays, until as many `unpin`. */
  pin(key: number): void {
    this.pins[key]!++;
  }

  unpin(key: number): void {
    this.pins[key]!--;
  }

  /** From now on all of a layer that have slots keep them, until as many `letGo`: its routing is submitted, its experts are not. */
  hold(layer: number): void {
    this.holds[layer]!++;
  }

  letGo(layer: number): void {
    this.holds[layer]!--;
  }

  get holdsAny(): boolean {
    return this.holds.some((n) => n > 0);
  }

  /** `key` is likely to be wanted by a layer of token `token` that is still to come; until `passed`, or some tokens later. */
  expect(key: number, token: number): void {
    this.expectedAt[key] = token;
  }

  /** The layer `key` was expected for has chosen. */
  passed(key: number): void {
    this.expectedAt[key] = Number.NEGATIVE_INFINITY;
  }

  /** A slot for an expert that has none and is not on its way; null where every slot of its size is pinned, loading or of a held layer. */
  claim(key: number, token: number): Claim | null {
    const isExpected = (other: number) => this.expectedAt[other]! >= token - SAFE_TOKENS;
    return this.claimFor(key, token, (other) => !isExpected(other)) ?? this.claimFor(key, token, () => true);
  }

  /** The same for a guess: null too where only experts could go that were used lately, or are expected. */
  claimAhead(key: number, token: number): Claim | null {
    const since = token - SAFE_TOKENS;
    return this.claimFor(key, token, (other) => this.usedAt[other]! < since && this.expectedAt[other]! < since);
  }

  /** The bytes were written: the slot is named. */
  arrived({ key, slot }: Claim): void {
    this.loading[key] = 0;
    this.slotOf[key] = slot;
    this.nNamed++;
  }

  /** The bytes will not come: the slot is free. */
  failed({ key, slot }: Claim): void {
    this.loading[key] = 0;
    this.holder[slot] = EMPTY;
  }

  /** Experts that have a slot, of one layer or of all. */
  *named(layer?: number): Generator<number> {
    for (const key of this.holder) {
      if (key === EMPTY || !this.isNamed(key)) continue;
      if (layer === undefined || Math.floor(key / this.size.nExperts) === layer) yield key;
    }
  }

  /** Slots of `layer`'s size that nobody holds. */
  nFree(layer: number): number {
    let nFree = 0;
    for (const holder of this.slotsOf(layer)) if (holder === EMPTY) nFree++;
    return nFree;
  }

  nSlots(layer: number): number {
    return this.classes[this.classOf[layer]!]!.nSlots;
  }

  private slotsOf(layer: number): Int32Array {
    const i = this.classOf[layer]!;
    return this.holder.subarray(this.firstSlot[i]!, this.firstSlot[i]! + this.classes[i]!.nSlots);
  }

  private claimFor(key: number, token: number, mayGo: (key: number) => boolean): Claim | null {
    const layer = Math.floor(key / this.size.nExperts);
    const holders = this.slotsOf(layer);
    const first = this.firstSlot[this.classOf[layer]!]!;
    const free = holders.indexOf(EMPTY);
    if (free >= 0) return this.hand(key, first + free, null);
    const stays = (other: number) =>
      this.pins[other]! > 0 || this.loading[other] === 1 || this.isHeld(other) || !mayGo(other);
    const evicted = this.policy.victim(holders, stays, token);
    if (evicted === null) return null;
    const slot = this.slotOf[evicted]!;
    this.slotOf[evicted] = ABSENT;
    this.nNamed--;
    return this.hand(key, slot, evicted);
  }

  private isHeld(key: number): boolean {
    return this.holds[Math.floor(key / this.size.nExperts)]! > 0;
  }

  private hand(key: number, slot: number, evicted: number | null): Claim {
    this.holder[slot] = key;
    this.loading[key] = 1;
    return { key, slot, evicted };
  }
}
