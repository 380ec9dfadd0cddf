/** Floe in Node: the same runtime in this process, on the WebGPU of the npm package `webgpu`. */
import { existsSync, statSync } from 'node:fs';
import {
  type FetchOptions,
  type LoadPlan,
  loadInThread,
  type Model,
  type PlanOptions,
  planInThread,
  type ThreadOptions,
} from './api/index.ts';
import { GpuError } from './errors/index.ts';
import { type Gguf, readGguf } from './gguf/index.ts';
import type { Host } from './host/index.ts';
import { nodeHost } from './host/node.ts';
import { type ModelSource, openSource } from './store/index.ts';
import { createTokenizer, type Tokenizer, vocabularyFromMetadata } from './text/index.ts';

export type * from './api/index.ts';
export { EXPERT_PLACES } from './api/index.ts';
export * from './errors/errors.ts';
export type { Tokenizer } from './text/index.ts';

/** As in a page; a string that is a path of a file here is one, and the file is read in place. */
export async function loadModel(source: ModelSource, options: Omit<ThreadOptions, 'placing'> = {}): Promise<Model> {
  return loadInThread(nodeHost(await nodeGpu()), asSource(source), options);
}

/**
 * As in a page; a file here is read in place, and of an address it is taken that it is kept in a browser's storage. No
 * GPU is needed.
 */
export function planLoad(source: ModelSource, options: PlanOptions = {}): Promise<LoadPlan> {
  return planInThread(nodeHost(null), asSource(source), options);
}

/** What a GGUF says of itself. */
export interface Inspection {
  readonly version: number;
  readonly architecture: string;
  /** In file order. */
  readonly metadata: readonly (readonly [key: string, value: unknown])[];
  readonly tensors: readonly {
    readonly name: string;
    /** As ggml spells it; `type 77` where ggml has no such type. */
    readonly type: string;
    /** Row-major: the last dimension is contiguous. */
    readonly shape: readonly number[];
    /** Of a type ggml does not have: up to the next tensor, padding included. */
    readonly sizeBytes: number;
    /** From the beginning of the file. */
    readonly offset: number;
  }[];
  readonly sizeBytes: number;
}

/** Metadata and tensors; works on an unknown architecture or quantization, and on a file without tensors. */
export async function inspectModel(source: ModelSource, options: FetchOptions = {}): Promise<Inspection> {
  const { version, architecture, metadata, tensors, sizeBytes } = await readAny(source, options);
  return {
    version,
    architecture,
    metadata: [...metadata.entries()].map(([key, { value }]) => [key, value] as const),
    tensors: [...tensors.values()].map(({ name, typeName: type, shape, sizeBytes, offset }) => ({
      name,
      type,
      shape,
      sizeBytes,
      offset,
    })),
    sizeBytes,
  };
}

function readAny(source: ModelSource, options: FetchOptions): Promise<Gguf> {
  return withSource(source, options, (bytes, { clock }) => readGguf(bytes, { onUnsupportedType: 'keep', clock }));
}

/** The tokenizer of a GGUF, which need not hold more than a vocabulary. */
export async function openTokenizer(source: ModelSource, options: FetchOptions = {}): Promise<Tokenizer> {
  const gguf = await readAny(source, options);
  return createTokenizer(vocabularyFromMetadata(gguf.metadata));
}

async function withSource<T>(
  source: ModelSource,
  options: FetchOptions,
  use: (bytes: Awaited<ReturnType<typeof openSource>>, host: Host) => Promise<T>,
): Promise<T> {
  const host = nodeHost(null);
  const bytes = await openSource(host, asSource(source), options);
  try {
    return await use(bytes, host);
  } finally {
    await bytes.close();
  }
}

/** A string that is a path of something here is a path; a folder's ends with a slash. */
function asSource(source: ModelSource): ModelSource {
  if (typeof source === 'string') {
    const isHere = existsSync(source) || !/^[a-z][a-z0-9+.-]+:/i.test(source);
    return isHere ? asSource({ path: source }) : source;
  }
  if (!isPath(source) || !statSync(source.path, { throwIfNoEntry: false })?.isDirectory()) return source;
  return { path: source.path.replace(/[/\\]*$/, '/') };
}

function isPath(source: ModelSource): source is { readonly path: string } {
  return typeof source === 'object' && 'path' in source;
}

let gpu: Promise<GPU> | null = null;

/** Dawn, once for the process: an adapter whose GPU object is collected takes its devices with it. */
function nodeGpu(): Promise<GPU> {
  gpu ??= import('webgpu').then(
    ({ create, globals }) => {
      Object.assign(globalThis, globals);
      return create([]);
    },
    (cause) => {
      throw new GpuError(
        'gpu/unavailable',
        'Node has no WebGPU of its own, and the package `webgpu` is not installed.',
        {
          remedy: 'Run `npm install webgpu`.',
          cause,
        },
      );
    },
  );
  return gpu;
}
