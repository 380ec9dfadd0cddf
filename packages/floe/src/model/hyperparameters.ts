import { ModelError } from '../errors/index.ts';
import type { Metadata } from '../gguf/index.ts';

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** The metadata of one architecture, without its prefix: `u32('block_count')` reads `arctic.block_count`. */
export interface Hyperparameters {
  readonly u32: (key: string, range?: Range) => number;
  readonly optionalU32: (key: string, range?: Range) => number | undefined;
  readonly f32: (key: string, range?: Range) => number;
  readonly optionalF32: (key: string, range?: Range) => number | undefined;
  readonly optionalString: (key: string) => string | undefined;
  readonly optionalBool: (key: string) => boolean | undefined;
}

export function hyperparameters(metadata: Metadata, prefix: string): Hyperparameters {
  const key = (name: string) => `${prefix}.${name}`;
  return {
    u32: (name, range) => metadata.u32(key(name), range),
    optionalU32: (name, range) => metadata.optionalU32(key(name), range),
    f32: (name, range) => metadata.f32(key(name), range),
    optionalF32: (name, range) => metadata.optionalF32(key(name), range),
    optionalString: (name) => metadata.optionalString(key(name)),
    optionalBool: (name) => metadata.optionalBool(key(name)),
  };
}

/** A model that would run, and answer wrongly. */
export function unsupported(what: string): ModelError {
  return new ModelError('model/unsupported-architecture', `The model has ${what}, which Floe can't run yet.`, {
    remedy: 'Take another model: this one would answer wrongly.',
    details: { what },
  });
}
