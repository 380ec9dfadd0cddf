import type { Engine } from '../generate/index.ts';
import type { Device } from '../gpu/index.ts';
import type { Host } from '../host/index.ts';
import type { PlacedModel } from '../model/index.ts';
import type { ModelHashes, WeightSource } from '../store/index.ts';
import type { ChatTemplate, Tokenizer } from '../text/index.ts';
import type { AdapterRoom } from './adapterRoom.ts';
import type { ExpertWatch } from './experts.ts';
import type { ModelInfo } from './types.ts';

/** What a loaded model is made of. */
export interface ModelParts {
  readonly host: Host;
  readonly device: Device;
  readonly placed: PlacedModel;
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | null;
  readonly weights: WeightSource;
  readonly info: ModelInfo;
  readonly adapterRoom: AdapterRoom;
  /** By what its weights are known again, as far as they are stored by now. */
  readonly hashModel: () => Promise<ModelHashes>;
  /** Null where the model has no experts. */
  readonly watch: ExpertWatch | null;
}
