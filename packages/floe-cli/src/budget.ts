/** Budgets on the command line: how much of what a model may take, and how its experts are paged. */
import type { Budget, LoadOptions } from 'floe/node';
import { numberOption, type Values } from './arguments.ts';
import { UsageError } from './failure.ts';
import { fetchLoad, fetchOptions, fetchUsage } from './fetching.ts';

/** Options of every command that loads a model. */
export const pagingOptions = {
  gpu: { type: 'string' },
  memory: { type: 'string' },
  'adapter-memory': { type: 'string' },
  'run-ahead': { type: 'string' },
  'no-prefetch': { type: 'boolean' },
  'drop-below': { type: 'string' },
  ...fetchOptions,
} as const;

/** What the help of such a command says of them. */
export const pagingUsage = `  --gpu SIZE            GPU memory, all buffers: 2GB, 2GiB, 500MB, bytes; or for experts alone 25%, or min
  --adapter-memory SIZE of --gpu, kept for adapters (--lora) where experts would take it
  --memory SIZE         of experts that are not on the GPU; 0 for none
  --run-ahead N         layers queued before it is known which experts they want; default: as measured
  --no-prefetch         experts come only when they are wanted
  --drop-below SHARE    not exact: a missing expert of less of the gate's weight is left out; 0 to 1, default 0
${fetchUsage}`;

/** As `loadModel` takes them; what was not given is left to it. */
export function pagingLoad(
  values: Values<typeof pagingOptions>,
): Pick<LoadOptions, 'budget' | 'paging' | 'headers' | 'hub'> {
  const runAhead = numberOption('--run-ahead', values['run-ahead'], { min: 0 });
  const dropBelow = numberOption('--drop-below', values['drop-below'], { min: 0, max: 1, whole: false });
  const paging = {
    ...(runAhead === undefined ? {} : { runAhead }),
    ...(values['no-prefetch'] ? { prefetch: false } : {}),
    ...(dropBelow === undefined ? {} : { dropBelow }),
  };
  return { ...fetchLoad(values), budget: budgetOf(values), ...(Object.keys(paging).length === 0 ? {} : { paging }) };
}

/** `--gpu` and `--memory`, and `--storage` where a command has it. */
export function budgetOf(values: {
  gpu?: string;
  memory?: string;
  storage?: string;
  'adapter-memory'?: string;
}): Budget {
  const { gpu, memory, storage } = values;
  const adapterBytes = sizeOption('--adapter-memory', values['adapter-memory']);
  const memoryBytes = sizeOption('--memory', memory);
  const storageBytes = sizeOption('--storage', storage);
  return {
    ...(gpu === undefined ? {} : { gpuBytes: gpuBudget(gpu) }),
    ...(adapterBytes === undefined ? {} : { adapterBytes }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(storageBytes === undefined ? {} : { storageBytes }),
  };
}

const SIZES = '2GB, 2GiB, 500MB, 500MiB or bytes';

function gpuBudget(text: string): NonNullable<Budget['gpuBytes']> {
  if (text === 'min') return 'min';
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) <= 100) return `${Number(percent)}%`;
  const bytes = sizeOf(text);
  if (bytes !== null && bytes > 0) return bytes;
  throw new UsageError(`--gpu is \`${text}\`.`, `Give ${SIZES}; or 25% of the experts, at most 100%; or min.`);
}

/** A number of bytes of an option; undefined where the option was not given. */
export function sizeOption(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = sizeOf(text);
  if (bytes !== null) return bytes;
  throw new UsageError(`${option} is \`${text}\`.`, `Give ${SIZES}.`);
}

const UNITS: Readonly<Record<string, number>> = { '': 1, GB: 1e9, GiB: 2 ** 30, MB: 1e6, MiB: 2 ** 20 };

/** Whole bytes, or null where the text says no size. */
function sizeOf(text: string): number | null {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?) ?(GB|GiB|MB|MiB)?$/.exec(text) ?? [];
  if (digits === undefined) return null;
  const bytes = Math.round(Number(digits) * UNITS[unit]!);
  return Number.isSafeInteger(bytes) ? bytes : null;
}
