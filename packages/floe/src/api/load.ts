import { orAborted, TextError } from '../errors/index.ts';
import { checkSlots, type ExpertCache } from '../experts/index.ts';
import { Encoder, Engine, type Schedule } from '../generate/index.ts';
import { type Gguf, readGguf } from '../gguf/index.ts';
import { type Device, type DeviceOptions, openDevice } from '../gpu/index.ts';
import type { Host } from '../host/index.ts';
import {
  adapterBytes,
  dominantFormat,
  isExpertRecord,
  type ModelPlan,
  type PlaceOptions,
  placeModel,
  planModel,
  stepSizes,
} from '../model/index.ts';
import { type LateOptions, type ModelSource, type OpenedWeights, openWeights } from '../store/index.ts';
import { ChatTemplate, createTokenizer, type Tokenizer, vocabularyFromMetadata } from '../text/index.ts';
import { AdapterRoom } from './adapterRoom.ts';
import { type DividedMemory, divideMemory } from './budget.ts';
import { contextOf, type LoadedContext } from './context.ts';
import { LocalEmbedder } from './embedder.ts';
import { embeddingsOf } from './embeddings.ts';
import { ExpertWatch } from './experts.ts';
import { fetchOptions } from './fetchOptions.ts';
import { fingerprint } from './fingerprint.ts';
import { LocalModel } from './model.ts';
import { checkLoadOptions } from './options.ts';
import { recordTrace } from './record.ts';
import type { LoadNotice, LoadOptions, LoadProgress, Model, ModelInfo } from './types.ts';

/** Options of the thread a model lives in, beyond the public ones. */
export interface ThreadOptions extends LoadOptions {
  readonly device?: DeviceOptions;
  /** For tests and benches. */
  readonly placing?: Pick<PlaceOptions, 'poolBytes' | 'policy'>;
  /** Hears the bytes of a routing trace as it is made, where the model has experts: its first line, then each token. */
  readonly onTrace?: (bytes: Uint8Array) => void;
}

/** What the header alone decides, before a weight is downloaded: whether the model can run here as it was asked to. */
interface Prepared {
  readonly plan: ModelPlan;
  readonly tokenizer: Tokenizer;
  readonly context: LoadedContext;
  readonly memory: DividedMemory;
}

/** Opens a model in this thread: the header, a device, the weights, the kernels; then it is ready. */
export async function loadInThread(host: Host, source: ModelSource, options: ThreadOptions = {}): Promise<Model> {
  const { signal } = options;
  checkLoadOptions(options);
  const progress = progressReporter(source, options);
  progress({ phase: 'inspect', loaded: 0, total: 0 });
  // Before a byte is downloaded: a device that can't run it is the shorter disappointment.
  const opening = openDevice(host.gpu, options.device);
  const device = await orAborted(opening, signal).catch((error: unknown) => {
    opening.then((late) => late.destroy()).catch(() => {});
    throw error;
  });
  let opened: OpenedWeights<Gguf> | null = null;
  try {
    let prepared: Prepared | null = null;
    /** Once the model is ready. */
    let experts: ExpertCache | null = null;
    opened = await openWeights(host, source, {
      readHeader: (bytes, abort) => readGguf(bytes, { clock: host.clock, ...(abort ? { signal: abort } : {}) }),
      makePlans: (gguf: Gguf) => {
        prepared = prepare(host, device, gguf, options);
        return prepared.plan.records;
      },
      ...(signal ? { signal } : {}),
      ...(options.sha256 === undefined ? {} : { sha256: options.sha256 }),
      ...fetchOptions(options),
      ...lateOptions(options),
      onBackground: (stored) => {
        void experts?.fillUp();
        options.onStored?.(stored);
      },
      order: (missing) => experts?.likeliest(missing),
      onProgress: progress,
    });
    const ready = await makeReady(host, device, opened, prepared!, options, progress);
    experts = ready.experts;
    progress({ phase: 'ready', loaded: opened.fileBytes, total: opened.fileBytes, notices: opened.weights.notices });
    return ready.model;
  } catch (error) {
    device.destroy();
    // What went wrong first is what there is to tell.
    await opened?.weights.close().catch(() => {});
    throw error;
  }
}

function prepare(host: Host, device: Device, gguf: Gguf, options: ThreadOptions): Prepared {
  const plan = planModel(gguf);
  const tokenizer = createTokenizer(vocabularyFromMetadata(gguf.metadata));
  checkVocabulary(tokenizer, plan);
  const context = contextOf(host, plan, options);
  const memory = divideMemory(host, plan, context, options.budget);
  checkSlots(device, memory.slots, options.placing?.poolBytes);
  return { plan, tokenizer, context, memory };
}

/** Weights onto the device, kernels compiled, everything a LocalModel is made of. */
async function makeReady(
  host: Host,
  device: Device,
  opened: OpenedWeights<Gguf>,
  { plan, tokenizer, context, memory }: Prepared,
  options: ThreadOptions,
  progress: Report,
): Promise<{ readonly model: Model; readonly experts: ExpertCache | null }> {
  const { signal } = options;
  const { weights } = opened;
  const { placed, engine } = await device.checked(async () => {
    const onProgress = (loaded: number, total: number) =>
      progress({ phase: 'upload', loaded, total, notices: weights.notices });
    const placed = await placeModel(device, plan, weights, {
      signal,
      onProgress,
      slots: memory.slots,
      memoryBytes: memory.memoryBytes,
      ...options.placing,
    });
    const prefetch = options.paging?.prefetch ?? true;
    const engine = plan.description.pooling
      ? new Encoder(device, placed, context)
      : new Engine(device, placed, context, host.clock, scheduleOf(options), prefetch);
    return { placed, engine };
  });
  const { compiled } = device.pipelines;
  device.pipelines.onCompiled = () => progress({ phase: 'compile', loaded: compiled.done, total: compiled.asked });
  await orAborted(engine.warmUp(), signal);
  device.pipelines.onCompiled = () => {};
  device.throwIfFailed();
  const template = ChatTemplate.of(tokenizer, host);
  const info = infoOf(opened, plan, context, template !== null, device, memory.notices);
  const sizes = stepSizes(plan, context);
  const adapterRoom = new AdapterRoom(memory.adapterRoomBytes, (adapters) => adapterBytes(plan, sizes, adapters));
  const common = { device, placed, tokenizer, weights, info, adapterRoom };
  if (engine instanceof Encoder)
    return { model: new LocalEmbedder({ ...common, host, encoder: engine }), experts: null };
  if (placed.experts) engine.decoder.dropBelow = options.paging?.dropBelow ?? 0;
  const watch = placed.experts && new ExpertWatch(engine, placed.experts, host.clock, options.onExperts);
  if (options.onTrace) recordTrace(engine, info.name, options.onTrace);
  const hashModel = fingerprint({ host, gguf: opened.header, plan, weights });
  const model = new LocalModel({ ...common, host, engine, template, watch, hashModel });
  return { model, experts: placed.experts };
}

/** Each row of the embedding is a token's, or an id could be sampled that nobody can read. Where none is, there may be more rows. */
function checkVocabulary({ vocabulary }: Tokenizer, { nVocab, description }: ModelPlan): void {
  const nTokens = vocabulary.tokens.length;
  if (nTokens === nVocab || (description.pooling && nTokens < nVocab)) return;
  throw new TextError('text/vocabulary', `The vocabulary has ${nTokens} tokens; the embedding has ${nVocab} rows.`, {
    remedy: 'Metadata and tensors of this file contradict each other. Convert or download the model again.',
    details: { nTokens, nVocab },
  });
}

/** What of the file may come after the model is ready. */
function lateOptions({ download = 'background', budget }: LoadOptions): Partial<LateOptions> {
  const storage = budget?.storageBytes === undefined ? {} : { storageBytes: budget.storageBytes };
  if (download === 'first') return storage;
  return { ...storage, later: isExpertRecord, background: download === 'background' ? 'on' : 'off' };
}

function scheduleOf({ paging = {} }: LoadOptions): Partial<Schedule> {
  const { runAhead, group } = paging;
  return { ...(runAhead === undefined ? {} : { runAhead }), ...(group === undefined ? {} : { group }) };
}

type Report = (step: Pick<LoadProgress, 'phase' | 'loaded' | 'total'> & Partial<Pick<LoadProgress, 'notices'>>) => void;

function progressReporter(source: ModelSource, { onProgress }: LoadOptions): Report {
  const file = nameOf(source);
  return (step) => onProgress?.({ notices: [], ...step, file });
}

function nameOf(source: ModelSource): string {
  if (isFiles(source)) return source[0] ? nameOf(source[0]) : '';
  if (typeof source === 'string' || source instanceof URL)
    return String(source).split(/[?#]/)[0]!.split('/').filter(Boolean).pop() ?? '';
  if ('path' in source) return source.path.split(/[/\\]/).filter(Boolean).pop() ?? source.path;
  return source instanceof File ? source.name : 'model';
}

function isFiles(source: ModelSource): source is readonly Blob[] {
  return Array.isArray(source);
}

function infoOf(
  opened: OpenedWeights<Gguf>,
  plan: ModelPlan,
  context: LoadedContext,
  hasChatTemplate: boolean,
  { adapter: { description, software } }: Device,
  notices: readonly LoadNotice[],
): ModelInfo {
  const { header, weights } = opened;
  const { nLayers, nExperts, nExpertsUsed, nCtxTrain } = plan.shape;
  return {
    name: header.metadata.optionalString('general.name') ?? opened.name,
    architecture: header.architecture,
    nParameters: [...header.tensors.values()].reduce((sum, { nElements }) => sum + nElements, 0),
    nLayers,
    nExperts,
    nExpertsUsed,
    nVocab: plan.nVocab,
    nCtxTrain,
    contextLength: context.window,
    context: {
      window: context.window,
      sinks: context.nSinks,
      overflow: context.overflow,
      kv: context.kv,
      conversations: context.nWindows ?? 1,
      limitedBy: context.limitedBy,
    },
    quantization: dominantFormat(plan),
    fileBytes: opened.fileBytes,
    hasChatTemplate,
    embeddings: embeddingsOf(plan),
    adapter: { description, software },
    loadedFrom: opened.from,
    notices: [...weights.notices, ...notices],
  };
}
