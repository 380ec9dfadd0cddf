import matmulCooperativeWgsl from '#shaders/matmulCooperative.wgsl';
import matmulThreadWgsl from '#shaders/matmulThread.wgsl';
import matmulTileWgsl from '#shaders/matmulTile.wgsl';
import columnsDense from '#shaders/parts/columns_dense.wgsl';
import columnsGrouped from '#shaders/parts/columns_grouped.wgsl';
import columnsPairs from '#shaders/parts/columns_pairs.wgsl';
import outputAdd from '#shaders/parts/output_add.wgsl';
import outputGeglu from '#shaders/parts/output_geglu.wgsl';
import outputStore from '#shaders/parts/output_store.wgsl';
import outputSwiglu from '#shaders/parts/output_swiglu.wgsl';
import type { BufferView, Device, Recorder, ShaderPart } from '../gpu/index.ts';
import { type FormatName, GROUP_ELEMENTS, rowStride } from '../quant/index.ts';
import { lanesPart, setsPerWorkgroup } from './lanes.ts';
import { type DenseMatrix, type ExpertMatrix, type Matrix, unpackParts } from './matrix.ts';

/** What becomes of W · x: stored, added to y with a scale, or taken as gate stacked over up (then y has half the rows of W). */
export type MatmulOutput = 'store' | 'add' | 'swiglu' | 'geglu';

const outputParts: Readonly<Record<MatmulOutput, ShaderPart>> = {
  store: outputStore,
  add: outputAdd,
  swiglu: outputSwiglu,
  geglu: outputGeglu,
};

export interface MatmulArgs {
  /** [T, K], rows padded with zeros to whole groups of 32. */
  readonly x: BufferView;
  readonly w: DenseMatrix;
  /** [T, yStride]. */
  readonly y: BufferView;
  readonly nTokens: number;
  readonly output?: MatmulOutput;
  /** The first row of x to read; default 0. */
  readonly firstRow?: number;
  /** Values from one row of y to the next; default: N padded to whole groups. */
  readonly yStride?: number;
  /** Where in its row y begins, in values. */
  readonly yOffset?: number;
  /** Of what is added, with 'add'; default 1. */
  readonly scale?: number;
  readonly stage: number;
}

/**
 * y[T, N] = x[T, K] · Wᵀ, W packed [N, K]. For one token each weight is unpacked once and used once; for more, T share it. A
 * matrix in pieces takes a dispatch for each.
 */
export function matmul(rec: Recorder, args: MatmulArgs): void {
  const { w, nTokens, output = 'store' } = args;
  const shape = denseShape(rec.device, nTokens, w.format);
  let yOffset = args.yOffset ?? 0;
  for (const piece of w.pieces ?? [w]) {
    record(rec, shape, {
      w: piece,
      output,
      columns: columnsDense,
      nTiles: Math.ceil(nTokens / shape.COLUMNS),
      nColumns: nTokens,
      bindings: { main: piece.record, side: piece.record, x: args.x, y: args.y },
      firstRow: args.firstRow ?? 0,
      yStride: args.yStride ?? rowStride(nOutputs(w, output)),
      yOffset,
      scale: args.scale,
      stage: args.stage,
      route: { nExperts: 1, pairsPerX: 1, slotBytes: 0, firstSlot: 0, nSlots: 1 },
    });
    yOffset += nOutputs(piece, output);
  }
}

/** Values of a row of y. */
function nOutputs({ nRows }: Matrix, output: MatmulOutput): number {
  return isGated(output) ? nRows / 2 : nRows;
}

function isGated(output: MatmulOutput): boolean {
  return output === 'swiglu' || output === 'geglu';
}

/** What the router chose, on the GPU. Shapes: T tokens, k experts of each. */
export interface Route {
  /** [T, k] expert ids, by falling weight. */
  readonly ids: BufferView;
  /** [T, k] unnormalised. */
  readonly weights: BufferView;
  /** [T, k] where each expert lies. */
  readonly slots: BufferView;
  /** [nExperts + 1] and [T · k]: the pairs by expert, for T > 1 (groupByExpert); null where each pair goes by itself. */
  readonly starts: BufferView | null;
  readonly sorted: BufferView | null;
  readonly nExperts: number;
  readonly nExpertsUsed: number;
}

/** Whose pairs are sorted by expert, to be multiplied together. */
export interface SortedRoute extends Route {
  readonly starts: BufferView;
  readonly sorted: BufferView;
}

export interface ExpertMatmulArgs {
  /** [T, K] where `sharedInput`, else [T · k, K]. */
  readonly x: BufferView;
  readonly w: ExpertMatrix;
  /** [T · k, N], row t · k + rank. */
  readonly y: BufferView;
  readonly route: Route;
  readonly nTokens: number;
  /** True where the experts of a token read the same row of x (gate and up), false for one row each (down). */
  readonly sharedInput: boolean;
  readonly output?: MatmulOutput;
  /** As in `MatmulArgs`. */
  readonly yStride?: number;
  readonly yOffset?: number;
  readonly scale?: number;
  readonly stage: number;
}

/**
 * y[t·k + r, N] = x · W[slot(t, r)]ᵀ: each token's rows by the experts it was routed to, read through the slot index.
 * Where pairs are sorted, the tokens of one expert share its weights; a pool of several buffers takes a dispatch for each.
 */
export function expertMatmul(rec: Recorder, args: ExpertMatmulArgs): void {
  const { w, route, nTokens } = args;
  const nPairs = nTokens * route.nExpertsUsed;
  const grouped = nTokens > 1 && route.starts && route.sorted ? { starts: route.starts, sorted: route.sorted } : null;
  const shape = expertShape(rec.device, grouped ? nTokens : 1, route, w.format);
  // Each expert may leave one tile partly filled, and the tiles' numbers have gaps (columns_grouped.wgsl).
  const nTiles = grouped ? Math.floor(nPairs / shape.COLUMNS) + route.nExperts : nPairs;
  for (const pool of w.pools) {
    record(rec, shape, {
      w,
      output: args.output ?? 'store',
      columns: grouped ? columnsGrouped : columnsPairs,
      nTiles,
      nColumns: nPairs,
      bindings: {
        main: pool.view,
        side: pool.view,
        x: args.x,
        y: args.y,
        slots: route.slots,
        ...grouped,
      },
      firstRow: 0,
      yStride: args.yStride,
      yOffset: args.yOffset ?? 0,
      scale: args.scale,
      stage: args.stage,
      route: {
        nExperts: route.nExperts,
        pairsPerX: args.sharedInput ? route.nExpertsUsed : 1,
        slotBytes: w.slotBytes,
        firstSlot: pool.firstSlot,
        nSlots: pool.nSlots,
      },
    });
  }
}

/**
 * Which kernel, and how many rows and tokens share what was loaded and unpacked. Chosen by the device and by numbers of
 * tokens alone, never by what they hold.
 */
export interface MatmulShape {
  readonly kernel: 'thread' | 'cooperative' | 'tile';
  /** Rows of the matrix that one invocation, or one set of lanes, owns. */
  readonly ROWS: number;
  /** Tokens that share an unpacked weight. */
  readonly COLUMNS: number;
}

function denseShape(device: Device, nTokens: number, format: FormatName): MatmulShape {
  if (device.family !== 'thread') return gpuShape(nTokens);
  const COLUMNS = nTokens === 1 ? 1 : nTokens < WIDE_TOKENS ? 4 : WIDE_COLUMNS;
  return threadShape(nTokens, format, COLUMNS);
}

/**
 * A tile holds tokens of one expert only: where there are many experts for each that is used, they have few tokens each,
 * and wide tiles would stay empty.
 */
export function expertShape(
  device: Device,
  nTokens: number,
  { nExperts, nExpertsUsed }: Route,
  format: FormatName,
): MatmulShape {
  if (nTokens === 1) return denseShape(device, 1, format);
  const sparse = nExperts / nExpertsUsed >= 32;
  if (device.family === 'thread') return threadShape(nTokens, format, sparse ? 2 : 4);
  return gpuShape(Math.max(2, Math.ceil((nTokens * nExpertsUsed) / nExperts)));
}

/** Tokens from which on a software adapter takes eight at a time: worth two seconds of compiling in long prompts only. */
export const WIDE_TOKENS = 64;
const WIDE_COLUMNS = 8;

/**
 * On a software adapter loads cost more than arithmetic, so many rows share each value of x, and as many tokens each
 * weight as compile in time. A tile of 64 sums compiles three times as long as one of 32, for a fifth less work: what
 * every load waits for has 32, long prompts get more. F32 has half, for its eight loads a group are most of the code
 * (docs/performance.md).
 */
function threadShape(nTokens: number, format: FormatName, COLUMNS: number): MatmulShape {
  const isWide = COLUMNS === WIDE_COLUMNS;
  if (format === 'F32') return { kernel: 'thread', ROWS: isWide ? 8 : Math.min(8, 16 / COLUMNS), COLUMNS };
  return { kernel: 'thread', ROWS: isWide ? 16 : Math.min(nTokens === 1 ? 8 : 16, 32 / COLUMNS), COLUMNS };
}

/** Few tokens stream the weights as one does; from some eight on, unpacking is what to share. Few kinds: each compiles. */
function gpuShape(nTokens: number): MatmulShape {
  if (nTokens === 1) return { kernel: 'cooperative', ROWS: 2, COLUMNS: 1 };
  if (nTokens <= 8) return { kernel: 'cooperative', ROWS: 4, COLUMNS: nTokens === 2 ? 2 : 4 };
  return { kernel: 'tile', ROWS: 8, COLUMNS: 32 };
}

/** Invocations of a workgroup of matmulThread.wgsl: few, so that a small matrix still has work for every core. */
const THREADS = 8;

interface Recording {
  readonly w: Matrix;
  readonly output: MatmulOutput;
  readonly columns: ShaderPart;
  readonly nTiles: number;
  readonly nColumns: number;
  readonly bindings: Readonly<Record<'main' | 'side' | 'x' | 'y', BufferView> & Record<string, BufferView>>;
  readonly firstRow: number;
  readonly yStride: number | undefined;
  readonly yOffset: number;
  readonly scale: number | undefined;
  readonly stage: number;
  readonly route: { nExperts: number; pairsPerX: number; slotBytes: number; firstSlot: number; nSlots: number };
}

function record(rec: Recorder, shape: MatmulShape, r: Recording): void {
  const { w, route } = r;
  const nOut = nOutputs(w, r.output);
  const params = {
    nOut,
    nRows: w.nRows,
    nGroups: rowStride(w.rowElements) / GROUP_ELEMENTS,
    nColumns: r.nColumns,
    nExperts: route.nExperts,
    pairsPerX: route.pairsPerX,
    xStride: rowStride(w.rowElements) / 4,
    yStride: r.yStride ?? rowStride(nOut),
    xOffset: r.firstRow * (rowStride(w.rowElements) / 4),
    yOffset: r.yOffset,
    mainBase: w.mainOffset / 16,
    sideBase: w.sideOffset / 4,
    slotStride: route.slotBytes / 16,
    firstSlot: route.firstSlot,
    nSlots: route.nSlots,
    scale: r.scale ?? 1,
    stage: r.stage,
  };
  const parts = { unpack: unpackParts[w.format], columns: r.columns, output: outputParts[r.output] };
  const sets = Math.ceil(nOut / (isGated(r.output) ? shape.ROWS / 2 : shape.ROWS));
  const { ROWS, COLUMNS } = shape;
  const common = { bindings: r.bindings, params };
  switch (shape.kernel) {
    case 'thread': {
      const workgroups = [Math.ceil(sets / THREADS), r.nTiles] as const;
      rec.dispatch({
        ...common,
        shader: matmulThreadWgsl,
        parts,
        tunables: { ROWS, COLUMNS },
        workgroups,
      });
      return;
    }
    case 'cooperative': {
      // The kernel strides over what is left, so any number of workgroups is right.
      const workgroups = [Math.min(Math.ceil(sets / setsPerWorkgroup(rec.device)), 8192), r.nTiles] as const;
      const lanes = lanesPart(rec.device);
      rec.dispatch({
        ...common,
        shader: matmulCooperativeWgsl,
        parts: { ...parts, lanes },
        tunables: { ROWS, COLUMNS },
        workgroups,
      });
      return;
    }
    case 'tile': {
      const workgroups = [Math.ceil(sets / 8), r.nTiles] as const;
      rec.dispatch({
        ...common,
        shader: matmulTileWgsl,
        parts,
        tunables: { ROWS, COLUMNS, SHARE: COLUMNS / 8 },
        workgroups,
      });
    }
  }
}
