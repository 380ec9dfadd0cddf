/**
 * What the reader accepts at most. A count in a file is a claim by a stranger: it is compared with these and with the
 * bytes that are left *before* anything is computed from it or allocated for it.
 */
export const MIB = 2 ** 20;

export const limits = {
  /** Metadata entries; real files have below 100. */
  nKv: 65_536,
  /** Arctic has 493; a model with a tensor for each expert has some 40,000. */
  nTensors: 262_144,
  /** Everything before the data section. The longest real ones are vocabularies of 256 k tokens: about 15 MiB. */
  headerBytes: 256 * MIB,
  /** Chat templates are the longest strings. */
  stringBytes: 4 * MIB,
  keyBytes: 64 * 1024,
  /** ggml keeps names in 64 bytes, with a NUL. */
  nameBytes: 63,
  arrayEntries: 4 * MIB,
  nDims: 4,
  dim: 2 ** 40,
  alignment: 65_536,
  /** Parsing, all in all: values read one by one, bytes they take in memory, and the time where a clock is given. */
  steps: 32 * MIB,
  memoryBytes: 512 * MIB,
  parseMs: 2_000,
} as const;

/** Fixed part of the file: magic, version, counts. */
export const FIXED_BYTES = 24;
/** No metadata entry and no tensor is shorter: what a count is checked against. */
export const MIN_KV_BYTES = 13;
export const MIN_TENSOR_BYTES = 24;
export const DEFAULT_ALIGNMENT = 32;
