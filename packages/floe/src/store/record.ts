/**
 * A record is what the store keeps, checks and hands out as one: a dense matrix or vector, or one expert of one layer
 * (gate and up stacked, then down). Its bytes are in the order the GPU reads them, so that a load is one plain copy.
 */
import type { FormatName } from '../quant/index.ts';

/** What to read from the GGUF and how to lay it out, for one record. Made by `model/plan.ts`, before any download. */
export interface RecordPlan {
  /** Unique in the model, stable over versions: 'token_embd', 'blk.3.attn_qkv', 'blk.3.expert.17'. */
  readonly key: string;
  /** Of the packed record; a multiple of 256. */
  readonly sizeBytes: number;
  readonly matrices: readonly MatrixPlan[];
}

/** A matrix [nRows, rowElements] inside a record: planes as `quant/format.ts` says, at offsets that are multiples of 256. */
export interface MatrixPlan {
  readonly format: FormatName;
  readonly nRows: number;
  readonly rowElements: number;
  /** Where its rows lie in the file: one range, or several stacked (q over k over v; gate over up). */
  readonly sources: readonly SourceRange[];
  /** Bytes from the start of the record. */
  readonly mainOffset: number;
  /** Bytes from the start of the record; meaningless where the format has no side plane. */
  readonly sideOffset: number;
}

/** A contiguous range of rows in the GGUF file. */
export interface SourceRange {
  /** The GGUF tensor it is from, for messages. */
  readonly tensor: string;
  /** Absolute byte offset in the file. */
  readonly offset: number;
  readonly sizeBytes: number;
}
