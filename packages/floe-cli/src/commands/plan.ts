import type { ExpectedSpeed, LoadPlan, PlanRates } from 'floe/node';
import { modelSource, numberOption, parse } from '../arguments.ts';
import { budgetOf, sizeOption } from '../budget.ts';
import type { Command } from '../command.ts';
import { UsageError } from '../failure.ts';
import { fetchLoad, fetchOptions, fetchUsage } from '../fetching.ts';

const usage = `floe plan MODEL.gguf [options]: what would lie where, and what speed to expect, before anything is downloaded

  --gpu SIZE            GPU memory, all buffers: 2GB, 2GiB, 500MB, bytes; or for experts alone 25%, or min
  --memory SIZE         of experts in memory, 0 for none
  --storage SIZE        of the model in a browser's storage; default: all of it
  --context N           tokens that a token sees; default: the trained context, or what memory holds
  --gpu-rate SIZE       a second, as all rates: the GPU reads its memory; default 100GB
  --upload-rate SIZE    from memory to the GPU; default 4GB
  --storage-rate SIZE   from storage; default 0.4GB as a browser's database, 0.6GB for a file read in place
  --network-rate SIZE   from the network; default 12.5MB
${fetchUsage}
  --json                all of it, in bytes

The speed depends on how much a model's routing repeats itself, which nobody knows before it has run: flat, mid and hot
are little, usual and much. Only the file's header is read. MODEL.gguf is a path, read in place, or a URL, of which it is
taken that a browser stores it. What is left out is chosen as for a load on this machine.
`;

const RATES = ['gpu', 'upload', 'storage', 'network'] as const;

/** `floe plan`: bytes and expected speed, from the header. */
export const plan: Command = {
  name: 'plan',
  summary: 'what fits where, and what speed to expect',
  usage,
  run: async (args, { runtime, terminal, signal }) => {
    const { values, positionals } = parse('plan', args, ['MODEL.gguf'], {
      ...fetchOptions,
      gpu: { type: 'string' },
      memory: { type: 'string' },
      storage: { type: 'string' },
      context: { type: 'string' },
      'gpu-rate': { type: 'string' },
      'upload-rate': { type: 'string' },
      'storage-rate': { type: 'string' },
      'network-rate': { type: 'string' },
      json: { type: 'boolean' },
    });
    const contextLength = numberOption('--context', values.context, { min: 2 });
    const rates = RATES.flatMap((name) => {
      const rate = rateOption(`--${name}-rate`, values[`${name}-rate`]);
      return rate === undefined ? [] : [[name, rate] as const];
    });
    const found = await runtime.planLoad(modelSource(positionals[0]!), {
      ...fetchLoad(values),
      budget: budgetOf(values),
      ...(contextLength === undefined ? {} : { contextLength }),
      rates: Object.fromEntries(rates) as Partial<PlanRates>,
      signal,
    });
    terminal.out(values.json ? `${JSON.stringify(found)}\n` : forReading(found));
  },
};

function rateOption(option: string, text: string | undefined): number | undefined {
  const rate = sizeOption(option, text);
  if (rate === 0) throw new UsageError(`${option} is \`${text}\`.`, 'Give more than nothing.');
  return rate;
}

function forReading(found: LoadPlan): string {
  const { name, architecture, quantization, fileBytes, notices, nRoutedLayers, nExperts, embeddings } = found;
  const { expertBytes, nExpertsUsed } = found;
  const experts =
    nExperts === 0 ? '' : `, ${nRoutedLayers} x ${nExperts} experts of ${gb(expertBytes)}, ${nExpertsUsed} used`;
  return [
    `${name}: ${architecture}, ${quantization}, ${gb(fileBytes)}${experts}`,
    '',
    ...places(found),
    '',
    ...(nExperts === 0 ? [] : speeds(found)),
    embeddings
      ? `makes vectors of ${embeddings.dimensions} values of texts, by ${embeddings.pooling}`
      : `all on the GPU: ${rounded(found.residentTokensPerSecond)} tokens/s`,
    ...notices.map(({ message }) => `note: ${message}`),
    '',
  ].join('\n');
}

function places({ gpu, memory, storage, network, minimumGpuBytes, nRoutedLayers, nExperts, ...context }: LoadPlan) {
  const line = (place: string, bytes: number, what: string) => `${place.padEnd(9)}${gb(bytes).padStart(10)}  ${what}`;
  const part = (what: string, bytes: number) => `${what} ${gb(bytes)}`;
  const fixed = [
    part('dense', gpu.denseBytes),
    part(`KV of ${windows(context)} tokens`, gpu.kvBytes),
    part('activations', gpu.activationBytes + gpu.otherBytes),
  ];
  if (nExperts === 0) return [line('GPU', gpu.bytes, fixed.join(', '))];
  const nAll = nRoutedLayers * nExperts;
  return [
    line('GPU', gpu.bytes, [...fixed, part(`${gpu.nSlots} of ${nAll} experts`, gpu.slotBytes)].join(', ')),
    line('memory', memory.bytes, `${memory.nExperts} experts, those on the GPU among them`),
    line('storage', storage.bytes, `${storage.nExperts} experts`),
    ...(network.nExperts > 0 ? [line('network', network.bytes, `${network.nExperts} experts, each time`)] : []),
    line('at least', minimumGpuBytes, 'of GPU memory'),
  ];
}

function windows({ contextLength, conversations }: Pick<LoadPlan, 'contextLength' | 'conversations'>): string {
  return conversations === 1 ? String(contextLength) : `${conversations} x ${contextLength}`;
}

/** A row for each routing. */
function speeds({ speeds, rates }: LoadPlan): string[] {
  const head = ['routing', 'hits', 'memory', 'storage', 'network', 'GB moved', 'tokens/s'];
  const row = ({ routing, hitRate, loadsPerToken, bytesPerToken, tokensPerSecond }: ExpectedSpeed) => [
    routing,
    `${(100 * hitRate).toFixed(1)}%`,
    loadsPerToken.memory.toFixed(1),
    loadsPerToken.storage.toFixed(1),
    loadsPerToken.network.toFixed(1),
    (bytesPerToken / 1e9).toFixed(2),
    rounded(tokensPerSecond),
  ];
  const each = RATES.map((name) => `${name} ${rounded(rates[name] / 1e9)} GB/s`).join(', ');
  return [
    `a token, by where its missing experts come from (${each}):`,
    ...[head, ...speeds.map(row)].map((cells) =>
      cells.map((cell, i) => (i === 0 ? cell.padEnd(8) : cell.padStart(9))).join(''),
    ),
  ];
}

function gb(bytes: number): string {
  if (bytes >= 1e8 || bytes === 0) return `${(bytes / 1e9).toFixed(1)} GB`;
  return bytes >= 1e5 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(1)} kB`;
}

/** Two digits that mean something: more would promise what no estimate can keep. */
function rounded(value: number): string {
  return value >= 10 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
}
