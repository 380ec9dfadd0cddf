/** LoRA adapters on the command line. */
import type { FetchOptions, Model } from 'floe/node';
import { modelSource, type Values } from './arguments.ts';
import { UsageError } from './failure.ts';
import type { Source } from './runtime.ts';

/** Options of every command that runs a model. */
export const loraOptions = {
  lora: { type: 'string', multiple: true },
} as const;

/** What the help of such a command says of them. */
export const loraUsage = `  --lora FILE[=SCALE]   a LoRA adapter in GGUF, weighed by SCALE (default 1); as often as needed`;

export interface LoraAdapter {
  readonly source: Source;
  readonly scale: number;
}

/** Those that were given, in their order. What stands behind the last `=` is a scale if it is a number, else part of a name. */
export function adaptersOf({ lora = [] }: Values<typeof loraOptions>): LoraAdapter[] {
  return lora.map((text) => {
    const [, name, scale] = /^(.+)=([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)$/i.exec(text) ?? [];
    if (name !== undefined) return { source: modelSource(name), scale: Number(scale) };
    if (text === '') throw new UsageError('--lora is empty.', 'Give the path or the URL of an adapter in GGUF.');
    return { source: modelSource(text), scale: 1 };
  });
}

/** Adds them to a model, in their order. */
export async function addAdapters(
  model: Model,
  adapters: readonly LoraAdapter[],
  options: Pick<FetchOptions, 'headers' | 'hub'> & { readonly signal: AbortSignal },
): Promise<void> {
  for (const { source, scale } of adapters) await model.adapters.add(source, { ...options, scale });
}
