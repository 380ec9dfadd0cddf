/** Which GGUF tensors a checkpoint's are, and how they are made. */
import { ModelError } from '../errors/index.ts';
import { F8_BLOCK_ELEMENTS, type FormatName } from '../quant/index.ts';
import { headDimOf, isTied, scaleBlock } from './config.ts';
import { invalid, quote, unsupportedType } from './fail.ts';
import { type Family, ggufStem } from './family.ts';
import type { JsonReader } from './json.ts';
import type { Ingredient, Recipe } from './recipe.ts';
import { ropeRecipes } from './rope.ts';
import { SCALE_SUFFIXES, type Scales, scalesOf, UNUSED_SUFFIXES } from './scales.ts';
import type { PlacedTensor } from './shards.ts';

/** dtypes whose bytes a format reads as they are. */
const FLOATS: readonly string[] = ['F32', 'F16', 'BF16'] satisfies readonly FormatName[];

/** The recipes of all tensors, in the order their weights have in the files. */
export function recipesOf(
  tensors: ReadonlyMap<string, PlacedTensor>,
  config: JsonReader,
  family: Family,
): readonly Recipe[] {
  const isOutputTied = isTied(config);
  const recipes: Recipe[] = [];
  const unknown: string[] = [];
  const used = new Set<string>();
  const block = scaleBlock(config);
  const headDim = headDimOf(config);
  for (const tensor of tensors.values()) {
    const [module, suffix] = parted(tensor.name);
    if (isUnused(module, suffix) || (isOutputTied && module === 'lm_head')) continue;
    const stem = ggufStem(family, module);
    if (stem !== null && (SCALE_SUFFIXES as readonly string[]).includes(suffix)) continue;
    if (stem === null || (suffix !== 'weight' && suffix !== 'bias')) {
      unknown.push(tensor.name);
      continue;
    }
    const scale = suffix === 'weight' ? scaleTensor(tensors, module) : undefined;
    if (scale) used.add(scale.name);
    const headRows = family.pairsByTurns && /\.attn_[qk]$/.test(stem) ? headDim : null;
    const lacksOne = (family.normsLackOne ?? false) && /_norm$/.test(stem);
    recipes.push(recipeOf(`${stem}.${suffix}`, tensor, { scales: scaleFor(tensor, scale, block), headRows, lacksOne }));
  }
  checkScales(tensors, used, isOutputTied);
  if (unknown.length > 0) throw noUse(unknown, family);
  return [...ropeRecipes(config, headDim), ...recipes];
}

function parted(name: string): [module: string, suffix: string] {
  const at = name.lastIndexOf('.');
  return [name.slice(0, Math.max(0, at)), name.slice(at + 1)];
}

/** Scales of what Floe does not quantize, and the frequencies that the first checkpoints of Llama kept. */
function isUnused(module: string, suffix: string): boolean {
  return (UNUSED_SUFFIXES as readonly string[]).includes(suffix) || module.endsWith('.rotary_emb');
}

function scaleTensor(tensors: ReadonlyMap<string, PlacedTensor>, module: string): PlacedTensor | undefined {
  const found = SCALE_SUFFIXES.map((suffix) => tensors.get(`${module}.${suffix}`)).filter((one) => one !== undefined);
  if (found.length > 1) throw invalid(`${quote(module)} has two scales.`, { tensor: module });
  return found[0];
}

function scaleFor(
  tensor: PlacedTensor,
  scale: PlacedTensor | undefined,
  block: readonly [number, number],
): Scales | null {
  if (tensor.dtype !== 'F8_E4M3') return null;
  if (tensor.shape.length !== 2) {
    throw unsupportedType(`${quote(tensor.name)} is F8_E4M3 [${tensor.shape}]; Floe runs matrices of it.`, {
      tensor: tensor.name,
      shape: [...tensor.shape],
    });
  }
  if (scale) return scalesOf(tensor, scale, block);
  throw invalid(`${quote(tensor.name)} is F8_E4M3 and has no scale (${SCALE_SUFFIXES.join(' or ')}).`, {
    tensor: tensor.name,
  });
}

/** A scale that nothing is multiplied by would be a weight the model was trained with and we don't apply. */
function checkScales(
  tensors: ReadonlyMap<string, PlacedTensor>,
  used: ReadonlySet<string>,
  isOutputTied: boolean,
): void {
  for (const { name } of tensors.values()) {
    const [module, suffix] = parted(name);
    if (!(SCALE_SUFFIXES as readonly string[]).includes(suffix) || (isOutputTied && module === 'lm_head')) continue;
    const weight = tensors.get(`${module}.weight`);
    if (used.has(name) && weight?.dtype === 'F8_E4M3') continue;
    throw invalid(
      `${quote(name)} scales ${weight ? `weights that are ${weight.dtype}` : 'weights that are not there'}.`,
      {
        tensor: name,
      },
    );
  }
}

function recipeOf(name: string, stored: PlacedTensor, made: Making): Recipe {
  const { scales, headRows, lacksOne } = made;
  const tensor = scales ? stored : squeezed(stored);
  const { shape, dtype } = tensor;
  if (shape.length < 1 || shape.length > 2 || shape.some((dim) => dim < 1)) {
    throw invalid(`${quote(tensor.name)} is [${shape}]; a vector or a matrix is needed.`, { tensor: tensor.name });
  }
  if (headRows !== null && shape[0]! % headRows !== 0) {
    throw invalid(`${quote(tensor.name)} has ${shape[0]} rows, no whole heads of ${headRows}.`, {
      tensor: tensor.name,
      rows: shape[0]!,
      headRows,
    });
  }
  return {
    name,
    shape,
    format: formatOf(name, tensor, dtype),
    from: { kind: 'stored', tensor, scales, headRows, lacksOne },
  };
}

/** What is done to a tensor. */
type Making = Omit<Extract<Ingredient, { kind: 'stored' }>, 'kind' | 'tensor'>;

/** A matrix of one row is a vector in GGUF. */
function squeezed(tensor: PlacedTensor): PlacedTensor {
  return tensor.shape.length === 2 && tensor.shape[0] === 1 ? { ...tensor, shape: tensor.shape.slice(1) } : tensor;
}

/** As in a GGUF, vectors and the router are F32; so is F8_E4M3 whose rows are no whole blocks. */
function formatOf(name: string, { shape, name: stored }: PlacedTensor, dtype: string): FormatName {
  const isExact = shape.length === 1 || name.endsWith('.ffn_gate_inp.weight');
  if (FLOATS.includes(dtype)) return isExact ? 'F32' : (dtype as FormatName);
  if (dtype === 'F8_E4M3') return isExact || shape[1]! % F8_BLOCK_ELEMENTS !== 0 ? 'F32' : 'F8_E4M3';
  throw unsupportedType(`${quote(stored)} is ${dtype}, which Floe can't run.`, { tensor: stored, dtype });
}

function noUse(unknown: readonly string[], { architecture }: Family): ModelError {
  return new ModelError(
    'model/shape',
    `The files hold ${unknown.length} tensors a ${architecture} has no use for, ${quote(unknown[0]!)} first.`,
    {
      remedy:
        'The model is quantized in a way, or of a kind, that Floe does not run from safetensors. Take a GGUF of it.',
      details: { tensors: unknown.slice(0, 10) },
    },
  );
}
