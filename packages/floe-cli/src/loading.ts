/** Loading a model while a person watches: one line on standard error that is drawn over and over, then taken away. */
import type { LoadProgress, Model } from 'floe/node';
import { modelSource } from './arguments.ts';
import type { Context, Terminal } from './command.ts';
import { UsageError } from './failure.ts';
import { addAdapters, type LoraAdapter } from './lora.ts';
import type { RuntimeLoadOptions } from './runtime.ts';
import { openTrace } from './trace.ts';

const BAR_WIDTH = 24;
const CLEAR_LINE = '\r\x1b[K';

export interface LoadingOptions {
  /** Keeps what the model has to say of its load to itself: the output is for a program. */
  readonly quiet: boolean;
  readonly load: Pick<RuntimeLoadOptions, 'budget' | 'paging' | 'context' | 'headers' | 'hub'>;
  /** Added once it is loaded. */
  readonly adapters: readonly LoraAdapter[];
  /** A file to write routes to. */
  readonly trace?: string | undefined;
}

/** Loads the model, gives it to `use`, and unloads it whatever happens. */
export async function withModel(
  name: string,
  context: Context,
  { quiet, load, adapters, trace }: LoadingOptions,
  use: (model: Model) => Promise<void>,
): Promise<void> {
  const { terminal, runtime, signal } = context;
  const source = modelSource(name);
  const file = openTrace(trace);
  const line = new StatusLine(terminal);
  let model: Model | null = null;
  try {
    const onProgress = (progress: LoadProgress): void => line.show(progressLine(progress));
    const tracing = file ? { onTrace: file.onTrace } : {};
    model = await runtime.loadModel(source, { ...load, ...tracing, onProgress, signal }).finally(() => line.clear());
    if (file && model.info.nExperts === 0) {
      throw new UsageError('This model has no experts to trace.', 'Leave out --trace, or take another model.');
    }
    const { headers, hub } = load;
    await addAdapters(model, adapters, { signal, ...(headers ? { headers } : {}), ...(hub ? { hub } : {}) });
    if (!quiet) {
      for (const { message } of model.info.notices) terminal.err(`note: ${message}\n`);
      terminal.err(await stillToCome(model));
    }
    await use(model);
  } finally {
    await model?.unload();
    file?.close();
  }
}

/** What the model answers without, until it is routed there. Where a terminal runs nothing is stored. */
async function stillToCome(model: Model): Promise<string> {
  const places = (await model.experts())?.places ?? new Uint8Array();
  // 0 is where 'absent' stands in `EXPERT_PLACES`.
  const nAbsent = places.filter((place) => place === 0).length;
  if (nAbsent === 0) return '';
  return `note: ${nAbsent} of ${places.length} experts are still on the server; each comes when the answer needs it.\n`;
}

/** A line of standard error that changes; nothing at all where nobody watches. */
export class StatusLine {
  private shown = false;
  constructor(private readonly terminal: Terminal) {}

  show(text: string): void {
    if (!this.terminal.errIsTerminal) return;
    this.shown = true;
    this.terminal.err(`${CLEAR_LINE}${text}`);
  }

  clear(): void {
    if (this.shown) this.terminal.err(CLEAR_LINE);
    this.shown = false;
  }
}

/** `download ████░░░░ 12.0 of 16.9 MiB`; without a bar while the total is unknown. */
export function progressLine({ phase, loaded, total }: LoadProgress): string {
  const count = (value: number): string => (phase === 'compile' ? String(value) : mib(value));
  const unit = phase === 'compile' ? 'kernels' : 'MiB';
  if (total <= 0) return loaded > 0 ? `${phase} ${count(loaded)} ${unit}` : phase;
  const filled = Math.round((Math.min(loaded, total) / total) * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  return `${phase.padEnd(8)} ${bar} ${count(loaded)} of ${count(total)} ${unit}`;
}

/** Bytes in MiB, one decimal. */
export function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
