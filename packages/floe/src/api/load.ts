import { throwIfAborted } from '../errors/index.ts';
import { Runner } from '../generate/index.ts';
import { type Gguf, readGguf } from '../gguf/index.ts';
import { type DeviceOptions, openDevice } from '../gpu/index.ts';
import type { Host } from '../host/index.ts';
import { dominantFormat, type ModelPlan, placeModel, planModel } from '../model/index.ts';
import { type ModelSource, type OpenedWeights, openWeights } from '../store/index.ts';
import { ChatTemplate, createTokenizer, vocabularyFromMetadata } from '../text/index.ts';
import { invalid } from './check.ts';
import { LocalModel } from './model.ts';
import type { LoadOptions, LoadProgress, Model, ModelInfo } from './types.ts';

/** The context a model gets by itself: what it was trained for, but not more memory than a page should take unasked. */
const DEFAULT_CONTEXT = 4096;

/** Options of the thread a model lives in, beyond the public ones. */
export interface ThreadOptions extends LoadOptions {
  readonly device?: DeviceOptions;
}

/** Opens a model in this thread: the header, a device, the weights, the kernels; then it is ready. */
export async function loadInThread(host: Host, source: ModelSource, options: ThreadOptions = {}): Promise<Model> {
  const { signal } = options;
  throwIfAborted(signal);
  const progress = progressReporter(source, options);
  progress({ phase: 'inspect', loaded: 0, total: 0 });
  // Before a byte is downloaded: a device that can't run it is the shorter disappointment.
  const device = await openDevice(host.gpu, options.device);
  try {
    const opened = await openWeights(host, source, {
      readHeader: (bytes, abort) => readGguf(bytes, abort ? { signal: abort } : {}),
      makePlans: (gguf: Gguf) => planModel(gguf).records,
      ...(signal ? { signal } : {}),
      ...(options.sha256 === undefined ? {} : { sha256: options.sha256 }),
      onProgress: progress,
    });
    try {
      // The records of the plan must be those the store knows.
      const plan = planModel(opened.header);
      const contextLength = contextOf(plan, options.contextLength);
      const tokenizer = createTokenizer(vocabularyFromMetadata(opened.header.metadata));
      const placed = await placeModel(device, plan, opened.weights, {
        signal,
        onProgress: (loaded, total) => progress({ phase: 'upload', loaded, total }),
      });
      const runner = new Runner(device, placed, contextLength);
      progress({ phase: 'compile', loaded: 0, total: 0 });
      await runner.warmUp();
      throwIfAborted(signal);
      device.throwIfFailed();
      const template = ChatTemplate.of(tokenizer, host);
      const info = infoOf(opened, plan, contextLength, template !== null, device.adapter);
      const model = new LocalModel({
        host,
        device,
        placed,
        runner,
        tokenizer,
        template,
        weights: opened.weights,
        info,
      });
      progress({ phase: 'ready', loaded: opened.fileBytes, total: opened.fileBytes }, opened.weights.notices);
      return model;
    } catch (error) {
      await opened.weights.close();
      throw error;
    }
  } catch (error) {
    device.destroy();
    throw error;
  }
}

function progressReporter(source: ModelSource, { onProgress }: LoadOptions) {
  const file = nameOf(source);
  return (step: Pick<LoadProgress, 'phase' | 'loaded' | 'total'>, notices: LoadProgress['notices'] = []) =>
    onProgress?.({ ...step, file, notices });
}

function nameOf(source: ModelSource): string {
  if (typeof source === 'string' || source instanceof URL)
    return String(source).split(/[?#]/)[0]!.split('/').pop() ?? '';
  if ('path' in source) return source.path.split(/[/\\]/).pop() ?? source.path;
  return source instanceof File ? source.name : 'model';
}

function contextOf({ shape }: ModelPlan, wanted: number | undefined): number {
  if (wanted === undefined) return Math.min(shape.nCtxTrain, DEFAULT_CONTEXT);
  if (!Number.isInteger(wanted) || wanted < 2 || wanted > shape.nCtxTrain) {
    throw invalid(
      'contextLength',
      String(wanted),
      `a whole number from 2 to ${shape.nCtxTrain}, which the model was trained for`,
    );
  }
  return wanted;
}

function infoOf(
  opened: OpenedWeights<Gguf>,
  plan: ModelPlan,
  contextLength: number,
  hasChatTemplate: boolean,
  adapter: ModelInfo['adapter'],
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
    contextLength,
    quantization: dominantFormat(plan),
    fileBytes: opened.fileBytes,
    hasChatTemplate,
    adapter,
    loadedFrom: opened.from,
    notices: weights.notices,
  };
}
