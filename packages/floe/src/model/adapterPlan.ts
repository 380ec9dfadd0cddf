/**
 * LoRA adapters (Hu et al. 2021) in GGUF: for some of a model's tensors W [out, in] a pair of low rank, A [rank, in] and
 * B [out, rank]; y = W x + scale · alpha / rank · B (A x). Read as strictly as a model: what can't be applied is refused.
 */
import { type ErrorDetail, ModelError } from '../errors/index.ts';
import type { Gguf, TensorInfo } from '../gguf/index.ts';
import type { RecordPlan } from '../store/index.ts';
import { type AdapterTarget, adapterTargets } from './adapterTargets.ts';
import type { ModelPlan } from './plan.ts';
import { pairRecord, sliceOf } from './records.ts';
import type { RunnableTensor } from './tensors.ts';

export interface AdapterPlan {
  readonly pairs: readonly PairPlan[];
  /** Of all pairs. */
  readonly records: readonly RecordPlan[];
}

/** What an adapter has for one tensor. */
export interface PairPlan {
  /** The tensor's name. */
  readonly tensor: string;
  readonly target: AdapterTarget;
  readonly rank: number;
  /** alpha / rank; 1 where the file has no alpha. */
  readonly scale: number;
  /** Matrices [A, B]; of experts a record for each. */
  readonly records: readonly RecordPlan[];
}

/**
 * What it takes to run an adapter on this model: pure, and known before a weight of it is read.
 * @throws {ModelError} `model/adapter`: it is no LoRA adapter, or not of this model, or a pair of it is not whole.
 */
export function planAdapter(gguf: Gguf, architecture: string, plan: ModelPlan): AdapterPlan {
  checkKind(gguf, architecture);
  const alpha = gguf.metadata.optionalF32('adapter.lora.alpha') ?? 0;
  const targets = adapterTargets(plan);
  const pairs = [...halvesOf(gguf)].map(([tensor, { a, b }]): PairPlan => {
    const target = targets.get(tensor);
    if (!target) {
      const what = `It has a pair for ${tensor}, which is no matrix of this model that an adapter can change.`;
      throw refused(what, OTHER_MODEL, { tensor });
    }
    if (!a || !b) {
      const [there, missing] = a ? ['lora_a', 'lora_b'] : ['lora_b', 'lora_a'];
      throw refused(`${tensor}.${there} is there, ${tensor}.${missing} is not.`, AGAIN, { tensor, missing });
    }
    const rank = b.shape.at(-1)!;
    checkShapes(target, plan.shape.nExperts, { a, b }, rank);
    const records = recordsOf(tensor, target, plan.shape.nExperts, a, b);
    return { tensor, target, rank, scale: alpha === 0 ? 1 : alpha / rank, records };
  });
  if (pairs.length === 0) throw refused('It has no tensors.', AGAIN, {});
  return { pairs, records: pairs.flatMap(({ records }) => records) };
}

interface Halves {
  a: RunnableTensor | null;
  b: RunnableTensor | null;
}

/** By the name of the tensor they are for. */
function halvesOf({ tensors }: Gguf): Map<string, Halves> {
  const halves = new Map<string, Halves>();
  for (const tensor of tensors.values()) {
    const [, name, half] = /^(.+)\.lora_([ab])$/.exec(tensor.name) ?? [];
    if (!name) {
      const what = `It has the tensor ${tensor.name}, which is no half of a pair: it would be left out.`;
      throw refused(what, 'Convert the adapter without it: Floe applies pairs of low rank only.', {
        tensor: tensor.name,
      });
    }
    const pair = halves.get(name) ?? { a: null, b: null };
    pair[half as 'a' | 'b'] = runnable(tensor);
    halves.set(name, pair);
  }
  return halves;
}

/** The reader refuses a file with a type that has no format. */
function runnable(tensor: TensorInfo): RunnableTensor {
  return tensor as RunnableTensor;
}

function checkKind({ metadata, architecture }: Gguf, wanted: string): void {
  const kind = metadata.optionalString('general.type') ?? 'model';
  if (kind !== 'adapter') {
    throw refused(`The file is a ${kind}, no adapter.`, 'Give a LoRA adapter in GGUF; a model is for `loadModel`.', {
      kind,
    });
  }
  const type = metadata.string('adapter.type');
  if (type !== 'lora') throw refused(`It is of type ${type}; Floe applies LoRA.`, 'Take a LoRA adapter.', { type });
  if (metadata.has('adapter.alora.invocation_tokens')) {
    const what = "It is to act behind certain tokens only (aLoRA), which Floe can't do yet.";
    throw refused(what, 'Take an adapter that always acts: this one would answer wrongly.', {});
  }
  if (architecture !== wanted) {
    throw refused(`It is of a ${architecture}, the model is a ${wanted}.`, OTHER_MODEL, { architecture, wanted });
  }
}

/** Of the embedding, A is looked up by row instead of multiplied: [nVocab, rank]. */
function checkShapes(
  { kind, nRows, rowElements }: AdapterTarget,
  nExperts: number,
  { a, b }: { a: RunnableTensor; b: RunnableTensor },
  rank: number,
): void {
  const each = kind === 'experts' ? [nExperts] : [];
  const expected: [RunnableTensor, number[]][] = [
    [a, kind === 'embedding' ? [nRows, rank] : [...each, rank, rowElements]],
    [b, [...each, kind === 'embedding' ? rowElements : nRows, rank]],
  ];
  for (const [{ name, shape }, wanted] of expected) {
    if (shape.join() === wanted.join()) continue;
    throw refused(`${name} is [${shape}]; on this model it would be [${wanted}].`, OTHER_MODEL, {
      tensor: name,
      found: [...shape],
      expected: wanted,
    });
  }
}

function recordsOf(
  tensor: string,
  { kind }: AdapterTarget,
  nExperts: number,
  a: RunnableTensor,
  b: RunnableTensor,
): RecordPlan[] {
  if (kind !== 'experts') return [pairRecord(tensor, a, b)];
  return Array.from({ length: nExperts }, (_, expert) =>
    pairRecord(`${tensor}.${expert}`, sliceOf(a, expert, nExperts), sliceOf(b, expert, nExperts)),
  );
}

const OTHER_MODEL = 'Take an adapter that was made for this very model, not for one of another size or family.';
const AGAIN = 'The file is damaged or was converted by a faulty tool. Download it again, or convert the adapter again.';

function refused(what: string, remedy: string, details: Readonly<Record<string, ErrorDetail>>): ModelError {
  return new ModelError('model/adapter', `The adapter can't be used. ${what}`, { remedy, details });
}
