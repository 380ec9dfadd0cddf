/** What a family of checkpoints is described by. */
import { ModelError } from '../errors/index.ts';
import type { Entries } from './entries.ts';
import type { JsonReader } from './json.ts';

export interface Family {
  /** `model_type` in config.json. */
  readonly modelTypes: readonly string[];
  /** `general.architecture` of the same model as a GGUF. */
  readonly architecture: string;
  /**
   * Whether conversion to GGUF turns pairs (i, i + half) of a head into (2i, 2i + 1), by the order of q's and k's rows.
   */
  readonly pairsByTurns: boolean;
  /** Norms' weights are stored less 1. */
  readonly normsLackOne?: boolean;
  /** `hidden_act`; default silu. */
  readonly activation?: string;
  /** Modules of a layer, without `model.layers.N.`, and what GGUF calls them; `*` is an expert's number. */
  readonly layer: Readonly<Record<string, string>>;
  /** Metadata beside what every decoder has, without the architecture's prefix. @throws {ModelError} what Floe can't run. */
  readonly metadata?: (config: JsonReader) => Entries;
}

/** Modules outside of layers. */
const GLOBAL: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
};

const LAYER = /^model\.layers\.(\d+)\.(.+)$/;

/** What GGUF calls a module, without `.weight` or `.bias`; null where the family has no such module. */
export function ggufStem({ layer }: Family, module: string): string | null {
  const [, number, inLayer] = LAYER.exec(module) ?? [];
  if (inLayer === undefined) return Object.hasOwn(GLOBAL, module) ? GLOBAL[module]! : null;
  const expert = /\.experts\.(\d+)\./.exec(inLayer)?.[1];
  const key = expert === undefined ? inLayer : inLayer.replace(`.experts.${expert}.`, '.experts.*.');
  return Object.hasOwn(layer, key) ? `blk.${number}.${layer[key]!.replace('*', expert ?? '*')}` : null;
}

/** What a setting may only be, if it is there. */
export function only(config: JsonReader, key: string, value: string | number | boolean): void {
  const found = config.get(key);
  if (found === undefined || found === value) return;
  throw unsupported(`${key} ${JSON.stringify(found)}`);
}

export function unsupported(what: string): ModelError {
  return new ModelError('model/unsupported-architecture', `The model has ${what}, which Floe can't run yet.`, {
    remedy: 'Take another model: this one would answer wrongly.',
    details: { what },
  });
}
