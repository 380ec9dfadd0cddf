/** What tests against llama.cpp share: Floe's log-probabilities, how sure its routes were, and how far two engines are apart. */

import { Engine } from '../../floe/src/generate/index.ts';
import { readGguf } from '../../floe/src/gguf/index.ts';
import { type Device, readBuffer } from '../../floe/src/gpu/index.ts';
import { systemClock } from '../../floe/src/host/index.ts';
import { routeReference } from '../../floe/src/kernels/route.reference.ts';
import {
  type ModelPlan,
  type PlacedAdapter,
  type PlacedModel,
  type PlaceOptions,
  placeAdapter,
  placeModel,
  planAdapter,
  planMemory,
  planModel,
} from '../../floe/src/model/index.ts';
import { rowStride } from '../../floe/src/quant/index.ts';
import { packRecord } from '../../floe/src/store/index.ts';
import { klDivergence, logSoftmax } from './expectNear.ts';

/** What Floe makes of a prompt. */
export interface Answer {
  /** Behind each position, [nVocab]. */
  readonly logprobs: Float64Array[];
  /** By position: how much better, in the layer where it is least, the last expert chosen was than the next; Infinity without experts. */
  readonly margins: number[];
}

/** An adapter's file, and what it is weighed by. */
export interface GivenAdapter {
  readonly bytes: Uint8Array;
  readonly scale: number;
}

/** Adds adapters to a model that nothing was recorded of yet, or whose engine is told. */
export async function addAdapters(
  device: Device,
  placed: PlacedModel,
  architecture: string,
  adapters: readonly GivenAdapter[],
): Promise<PlacedAdapter[]> {
  const added: PlacedAdapter[] = [];
  for (const { bytes, scale } of adapters) {
    const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
    const plan = planAdapter(await readGguf({ sizeBytes: bytes.length, read }), architecture, placed.plan);
    const adapter = await placeAdapter(device, plan, (record) => packRecord(record, read));
    adapter.scale = scale;
    placed.adapters.add(adapter);
    added.push(adapter);
  }
  return added;
}

/** Runs prompts of at most 48 tokens, which is one chunk and one span on any device. */
export async function floeAnswers(
  device: Device,
  bytes: Uint8Array,
  prompts: readonly (readonly number[])[],
  { adapters = [], ...options }: PlaceOptions & { readonly adapters?: readonly GivenAdapter[] } = {},
): Promise<Answer[]> {
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const gguf = await readGguf({ sizeBytes: bytes.length, read });
  const plan = planModel(gguf);
  const placed = await placeModel(device, plan, { read: (record) => packRecord(record, read) }, options);
  const engine = new Engine(device, placed, Math.min(plan.shape.nCtxTrain, 256), systemClock);
  const added = await addAdapters(device, placed, gguf.architecture, adapters);
  await engine.adaptersChanged();
  const conversation = engine.open();
  const margins = await marginsOf(plan, read);
  const answers: Answer[] = [];
  for (const ids of prompts) {
    conversation.rewind(0);
    const routed: Promise<number[]>[] = [];
    // Called while a layer's scores are still where its router put them.
    engine.prompts.onRoutes = (layer) => {
      const sizeBytes = ids.length * rowStride(plan.shape.nExperts) * 4;
      routed.push(
        readBuffer(device, engine.prompts.s.routerLogits.buffer, 0, sizeBytes).then((logits) => margins(layer, logits)),
      );
    };
    const logprobs: Float64Array[] = [];
    for await (const logits of conversation.logits(ids, () => {})) logprobs.push(logSoftmax(logits));
    const layers = await Promise.all(routed);
    answers.push({ logprobs, margins: ids.map((_, i) => Math.min(Infinity, ...layers.map((layer) => layer[i]!))) });
  }
  device.throwIfFailed();
  await engine.destroy();
  for (const adapter of added) adapter.destroy();
  return answers;
}

/** The likeliest tokens one after another, each decoded by itself, with as few experts on the GPU as work. */
export async function floeGreedy(
  device: Device,
  bytes: Uint8Array,
  ids: readonly number[],
  nTokens: number,
): Promise<number[]> {
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const plan = planModel(await readGguf({ sizeBytes: bytes.length, read }));
  const { slots } = planMemory(plan, 256, 'min');
  const placed = await placeModel(device, plan, { read: (record) => packRecord(record, read) }, { slots });
  const engine = new Engine(device, placed, 256, systemClock);
  const conversation = engine.open();
  const picked = [await (await conversation.prefill(ids, { kind: 'greedy' }, 0, () => {})).wait()];
  while (picked.length < nTokens) picked.push(await (await conversation.decode({ kind: 'greedy' }, 0)).wait());
  await engine.destroy();
  return picked;
}

/** Of a layer's router logits [T, nExperts], each token's margin. */
async function marginsOf(plan: ModelPlan, read: (offset: number, length: number) => Promise<Uint8Array>) {
  const { nExperts, nExpertsUsed } = plan.shape;
  const routed = plan.layers.filter(({ experts }) => experts);
  const biases = await Promise.all(
    routed.map(async ({ experts }) => {
      const bytes = experts!.selectionBias && (await packRecord(experts!.selectionBias, read));
      return bytes && new Float32Array(bytes.buffer, bytes.byteOffset, nExperts);
    }),
  );
  return (layer: number, logits: ArrayBuffer): number[] => {
    const { gating: kind, renormalise, groups } = routed[layer]!.description.experts!.router;
    const stride = rowStride(nExperts);
    return Array.from({ length: logits.byteLength / 4 / stride }, (_, token) => {
      const row = new Float32Array(logits, token * stride * 4, nExperts);
      const bias = biases[layer] ?? null;
      // Alone, the order of a softmax is that of its logits, and those are what rounding moves.
      const isPlain = kind === 'softmax' && !bias && !groups;
      const gating = { kind, renormalise: isPlain || renormalise, groups, bias };
      return routeReference(row, nExpertsUsed, gating).margin;
    });
  };
}

export interface Agreement {
  /** Of a log-probability among the oracle's 20 likeliest. */
  readonly maxError: number;
  readonly meanKl: number;
  readonly top1: number;
  /** The same where the oracle's first is a clear one: 0.05 nats above its second, which no rounding crosses. */
  readonly clearTop1: number;
  readonly nPositions: number;
}

/** How far our distributions are from theirs, position by position. */
export function agreement(ours: readonly Float64Array[], theirs: readonly Float64Array[]): Agreement {
  let [maxError, kl, same, clear, clearSame] = [0, 0, 0, 0, 0];
  for (const [position, row] of ours.entries()) {
    const oracle = theirs[position]!;
    const ranked = Array.from(oracle.keys()).sort((a, b) => oracle[b]! - oracle[a]!);
    for (const id of ranked.slice(0, 20)) maxError = Math.max(maxError, Math.abs(oracle[id]! - row[id]!));
    kl += klDivergence(oracle, row);
    const agrees = row.indexOf(Math.max(...row)) === ranked[0];
    if (agrees) same++;
    if (oracle[ranked[0]!]! - oracle[ranked[1]!]! <= 0.05) continue;
    clear++;
    if (agrees) clearSame++;
  }
  const n = ours.length;
  return { maxError, meanKl: kl / n, top1: same / n, clearTop1: clearSame / clear, nPositions: n };
}
