/** What paging did in one layer. */
export interface LayerCounts {
  hits: number;
  misses: number;
  evictions: number;
  movedBytes: number;
  /** Milliseconds in which a step waited for its experts. */
  stallMs: number;
  /** Those for a token's ids are no layer's. */
  blockingWaits: number;
  usefulGuesses: number;
  uselessGuesses: number;
}

/** What paging did, counted: the causes of its speed. */
export interface ExpertCounts {
  /** Routed (token, rank) pairs whose expert had a slot when they were routed, and those whose had none. */
  hits: number;
  misses: number;
  readonly layers: LayerCounts[];
  /** Experts written to slots, and those that had to go for them. */
  loads: number;
  evictions: number;
  /** Records that came for slots: where each was. */
  fromMemory: number;
  fromStorage: number;
  fromNetwork: number;
  movedBytes: number;
  /** Decoded tokens, and layers of them that had to wait for an expert. */
  nTokens: number;
  faultedLayers: number;
  /** Milliseconds in which a step waited for experts. */
  stallMs: number;
  /**
   * Stretches in which the host waited and nothing of the session was submitted behind what it waited for. Waiting for
   * routes that bring a miss, and then for the expert, is one.
   */
  blockingWaits: number;
  /** Loads before anyone asked: used later, or evicted unused. */
  guesses: number;
  usefulGuesses: number;
  uselessGuesses: number;
  /** Routed pairs that were left out since their expert was missing (lossy mode), and their shares of the gate's weight. */
  dropped: number;
  droppedMass: number;
  /** Of the experts routed to, and of those that were missed: how many the guess had named. */
  foreseen: number;
  foreseenMisses: number;
  foreseeable: number;
  foreseeableMisses: number;
}

export function newCounts(nLayers: number): ExpertCounts {
  return {
    hits: 0,
    misses: 0,
    layers: Array.from({ length: nLayers }, () => ({
      hits: 0,
      misses: 0,
      evictions: 0,
      movedBytes: 0,
      stallMs: 0,
      blockingWaits: 0,
      usefulGuesses: 0,
      uselessGuesses: 0,
    })),
    loads: 0,
    evictions: 0,
    fromMemory: 0,
    fromStorage: 0,
    fromNetwork: 0,
    movedBytes: 0,
    nTokens: 0,
    faultedLayers: 0,
    stallMs: 0,
    blockingWaits: 0,
    guesses: 0,
    usefulGuesses: 0,
    uselessGuesses: 0,
    dropped: 0,
    droppedMass: 0,
    foreseen: 0,
    foreseenMisses: 0,
    foreseeable: 0,
    foreseeableMisses: 0,
  };
}
