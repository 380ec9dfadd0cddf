import type { SinkWindow } from '../kernels/index.ts';

/** How many rows each buffer has. They are of the model and its context, never of a memory budget. */
export interface StepSizes {
  /** Tokens of a prompt that go through attention and the dense MLP together. */
  readonly chunkTokens: number;
  /** Tokens of a prompt whose experts are run together; whole chunks. */
  readonly spanTokens: number;
  readonly logitRows: number;
  readonly window: SinkWindow;
}
