/** A model in safetensors as one file, a GGUF that is made while it is read: the rest of the library knows no other. */
import { NetError, throwIfAborted } from '../../errors/index.ts';
import { layOutGguf } from '../../gguf/index.ts';
import type { Host } from '../../host/index.ts';
import { formatByName } from '../../quant/index.ts';
import {
  CONFIG_FILE,
  describeModel,
  FIRST_BYTES,
  INDEX_FILE,
  invalidFile,
  joinShards,
  missingFile,
  parseIndex,
  type Recipe,
  readHeader,
  recipeBytes,
  SENTENCE_PIECE_FILE,
  SETTINGS_FILE,
  type Shard,
  SINGLE_FILE,
  TEMPLATE_FILE,
  TOKENIZER_FILE,
} from '../../safetensors/index.ts';
import { hex } from '../manifest.ts';
import type { ByteSource } from '../source.ts';
import type { ModelFolder } from './folder.ts';
import { madeSource } from './made.ts';

/** So many files are opened at once. */
const AT_ONCE = 6;
/** The longest JSON there is: a vocabulary of 256 k tokens with its merges takes some 35 MB. */
const MAX_TEXT_BYTES = 128 << 20;
const TEXT_PROBE_BYTES = 1 << 20;

/** Opens the folder's files: a request for each of the tokenizer's, and one for the header of each file of weights. */
export async function openSafetensors(host: Host, folder: ModelFolder, signal?: AbortSignal): Promise<ByteSource> {
  const opened: ByteSource[] = [];
  const open = async (file: string, probeBytes: number): Promise<ByteSource | null> => {
    throwIfAborted(signal);
    const source = await folder.open(file, probeBytes);
    if (source) opened.push(source);
    return source;
  };
  const read = async (file: string): Promise<Uint8Array | null> => {
    const source = await open(file, TEXT_PROBE_BYTES);
    const bytes = source && (await readWhole(source, signal));
    return bytes && isPage(bytes) ? null : bytes;
  };
  try {
    const { index, ...texts } = await readTexts(folder.name, read);
    const nTexts = opened.length;
    const shardIndex = index ? parseIndex(index) : null;
    const files = shardIndex?.files ?? [SINGLE_FILE];
    const shards = await openShards(folder.name, files, open);
    const headers = await inGroups(shards, async (source, i): Promise<Shard> => {
      return { file: files[i]!, tensors: await readHeader(source, signal) };
    });
    const model = describeModel({ ...texts, tensors: joinShards(headers, shardIndex) });
    const layout = layOutGguf(model.metadata, model.recipes.map(asWritten));
    const version = await versionOf(host, opened);
    const small = opened.slice(0, nTexts);
    await Promise.all(small.map((source) => source.close()));
    return madeSource({ name: folder.name, version, layout, recipes: model.recipes, texts: small, shards });
  } catch (error) {
    await Promise.allSettled(opened.map((source) => source.close()));
    throw error;
  }
}

function asWritten(recipe: Recipe) {
  const { name, shape, format } = recipe;
  return { name, shape, ggmlType: formatByName(format).ggmlType, sizeBytes: recipeBytes(recipe) };
}

/** What the folder has beside weights. */
async function readTexts(folder: string, read: (file: string) => Promise<Uint8Array | null>) {
  const names = [CONFIG_FILE, TOKENIZER_FILE, SETTINGS_FILE, TEMPLATE_FILE, INDEX_FILE];
  const [config, tokenizerJson = null, settings = null, template, index] = await inGroups(names, read);
  if (!config) throw missingFile(folder, CONFIG_FILE);
  const sentencePiece = tokenizerJson ? null : await read(SENTENCE_PIECE_FILE);
  if (!tokenizerJson && !sentencePiece) throw missingFile(folder, TOKENIZER_FILE);
  const chatTemplate = template ? new TextDecoder().decode(template) : null;
  return { config, tokenizerJson, sentencePiece, settings, chatTemplate, index };
}

async function openShards(
  folder: string,
  files: readonly string[],
  open: (file: string, probeBytes: number) => Promise<ByteSource | null>,
): Promise<ByteSource[]> {
  return inGroups(files, async (file) => {
    const source = await open(file, FIRST_BYTES);
    if (!source) throw missingFile(folder, file);
    if (source.ranges) return source;
    throw new NetError('net/range', `${source.name}: the server sends whole files only.`, {
      remedy:
        'A model in safetensors is read by ranges: put it on a server that has them, or load its files from a disk.',
      details: { url: source.name },
    });
  });
}

/** Six at a time, in their order. All of a group are over before one's error is thrown. */
async function inGroups<T, R>(items: readonly T[], visit: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let first = 0; first < items.length; first += AT_ONCE) {
    const group = items.slice(first, first + AT_ONCE).map((item, i) => visit(item, first + i));
    await Promise.allSettled(group);
    results.push(...(await Promise.all(group)));
  }
  return results;
}

async function readWhole(source: ByteSource, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { name, sizeBytes } = source;
  if (sizeBytes > MAX_TEXT_BYTES) {
    const details = { file: name, sizeBytes, limitBytes: MAX_TEXT_BYTES };
    throw invalidFile(
      `${name} has ${sizeBytes} bytes; at most ${MAX_TEXT_BYTES} are read of a file without weights.`,
      details,
    );
  }
  if (source.ranges || !source.stream) return source.read(0, source.sizeBytes, signal);
  const bytes = new Uint8Array(source.sizeBytes);
  let at = 0;
  for await (const piece of source.stream(signal)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Servers of pages answer with one where a file is not there. */
function isPage(bytes: Uint8Array): boolean {
  return /^\s*<(!doctype html|html)\b/i.test(new TextDecoder().decode(bytes.subarray(0, 200)));
}

/** One for all files, in whatever order they were opened; null where one of them has none. */
async function versionOf(host: Host, sources: readonly ByteSource[]): Promise<string | null> {
  if (sources.some(({ version }) => version === null)) return null;
  const versions = sources.map(({ name, version }) => `${name} ${version}`).sort();
  const hash = await host.sha256(new TextEncoder().encode(versions.join('\n')));
  return hex(hash.subarray(0, 16));
}
