/** For tests: keeps books beside a pager, and says when it does what its invariants forbid. */
import type { Claim, Pager, PagerClass } from './pager.ts';

export interface PagerWatch {
  readonly nArrived: number;
  readonly nEvicted: number;
  /** Nothing is pinned, no claim is open, and each slot is free or named. */
  atEnd(): void;
}

/** Tokens for which a used expert is safe from guesses. */
const SAFE_TOKENS = 2;

/** Wraps the methods of `pager`; `broken` is called with what it did. */
export function watchPager(
  pager: Pager,
  classes: readonly PagerClass[],
  nExperts: number,
  broken: (what: string) => never,
  watchesHolds = true,
): PagerWatch {
  const open = new Map<number, Claim>();
  const pins = new Map<number, number>();
  const usedAt = new Map<number, number>();
  const expectedAt = new Map<number, number>();
  const holds = new Map<number, number>();
  const count = { nArrived: 0, nEvicted: 0 };
  const layerOf = (key: number) => Math.floor(key / nExperts);
  const real = {
    pin: pager.pin,
    unpin: pager.unpin,
    hold: pager.hold,
    letGo: pager.letGo,
    used: pager.used,
    expect: pager.expect,
    passed: pager.passed,
    claim: pager.claim,
    claimAhead: pager.claimAhead,
    arrived: pager.arrived,
    failed: pager.failed,
  };

  const checked = (key: number, made: Claim | null): Claim | null => {
    if (!made) return null;
    const { slot, evicted } = made;
    const i = classes.findIndex(({ layers }) => layers.includes(layerOf(key)));
    const first = classes.slice(0, i).reduce((sum, { nSlots }) => sum + nSlots, 0);
    if (made.key !== key || slot < first || slot >= first + classes[i]!.nSlots)
      broken(`slot ${slot} is not of its size`);
    for (const other of open.values()) if (other.slot === slot) broken(`slot ${slot} was handed out twice`);
    if (pager.isNamed(key)) broken(`expert ${key} is named before its bytes came`);
    if (evicted === null && pager.slotOf.includes(slot)) broken(`slot ${slot} is somebody's`);
    if (evicted !== null) {
      count.nEvicted++;
      if ((pins.get(evicted) ?? 0) > 0) broken(`expert ${evicted} is pinned and was evicted`);
      if (pager.isNamed(evicted)) broken(`expert ${evicted} was evicted and is named`);
      const layer = layerOf(evicted);
      if (watchesHolds && (holds.get(layer) ?? 0) > 0)
        broken(`an expert of layer ${layer}, whose routing may have run, is evicted`);
    }
    open.set(key, made);
    return made;
  };
  const end = ({ key, slot }: Claim) => {
    if (open.get(key)?.slot !== slot) broken(`a claim of expert ${key} ended twice`);
    open.delete(key);
  };

  pager.pin = (key) => {
    pins.set(key, (pins.get(key) ?? 0) + 1);
    real.pin.call(pager, key);
  };
  pager.unpin = (key) => {
    const left = (pins.get(key) ?? 0) - 1;
    if (left < 0) broken(`expert ${key} is unpinned once too often`);
    pins.set(key, left);
    real.unpin.call(pager, key);
  };
  pager.used = (key, token, weight) => {
    usedAt.set(key, token);
    real.used.call(pager, key, token, weight);
  };
  pager.hold = (layer) => {
    holds.set(layer, (holds.get(layer) ?? 0) + 1);
    real.hold.call(pager, layer);
  };
  pager.letGo = (layer) => {
    const left = (holds.get(layer) ?? 0) - 1;
    if (left < 0) broken(`layer ${layer} is let go once too often`);
    holds.set(layer, left);
    real.letGo.call(pager, layer);
  };
  pager.expect = (key, token) => {
    expectedAt.set(key, token);
    real.expect.call(pager, key, token);
  };
  pager.passed = (key) => {
    expectedAt.delete(key);
    real.passed.call(pager, key);
  };
  const isExpected = (key: number, token: number) => (expectedAt.get(key) ?? -Infinity) >= token - SAFE_TOKENS;
  /** Who could go for `key`, and is not expected. */
  const others = (key: number, token: number): number[] => {
    const { layers } = classes.find(({ layers }) => layers.includes(layerOf(key)))!;
    return [...pager.named()].filter(
      (other) =>
        layers.includes(layerOf(other)) &&
        (pins.get(other) ?? 0) === 0 &&
        (holds.get(layerOf(other)) ?? 0) === 0 &&
        !isExpected(other, token),
    );
  };
  pager.claim = (key, token) => {
    const before = others(key, token);
    const made = checked(key, real.claim.call(pager, key, token));
    if (!made || made.evicted === null || !isExpected(made.evicted, token)) return made;
    if (before.length > 0) broken(`expert ${made.evicted} is expected and was evicted in the place of ${before[0]}`);
    return made;
  };
  pager.claimAhead = (key, token) => {
    const made = checked(key, real.claimAhead.call(pager, key, token));
    if (!made || made.evicted === null) return made;
    if ((usedAt.get(made.evicted) ?? -Infinity) >= token - SAFE_TOKENS)
      broken(`a guess evicts expert ${made.evicted}, just used`);
    if (isExpected(made.evicted, token)) broken(`a guess evicts expert ${made.evicted}, which is expected`);
    return made;
  };
  pager.arrived = (made) => {
    end(made);
    count.nArrived++;
    real.arrived.call(pager, made);
  };
  pager.failed = (made) => {
    end(made);
    real.failed.call(pager, made);
  };
  return {
    get nArrived() {
      return count.nArrived;
    },
    get nEvicted() {
      return count.nEvicted;
    },
    atEnd() {
      for (const [layer, n] of holds) if (n !== 0) broken(`layer ${layer} is still held`);
      for (const [key, n] of pins) if (n !== 0) broken(`expert ${key} is still pinned`);
      if (open.size > 0) broken(`${open.size} claims never ended`);
      const nNamed = [...pager.named()].length;
      const nFree = classes.reduce((sum, { layers }) => sum + pager.nFree(layers[0]!), 0);
      const nSlots = classes.reduce((sum, { nSlots }) => sum + nSlots, 0);
      if (nNamed + nFree !== nSlots) broken(`${nNamed} slots are named and ${nFree} are free, of ${nSlots}`);
    },
  };
}
