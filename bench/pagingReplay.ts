/**
 * Replayed routing: a decode step that routes as a trace says. Random weights route nearly uniformly, where every cache
 * hits by its share; so the router computes, and what the choice is made of is a trace's instead.
 */
import { seeded } from '@floe/testkit/seeded';
import type { Trace } from '../packages/floe/src/experts/index.ts';
import {
  BINDING_ALIGNMENT,
  type BufferView,
  type Device,
  type Dispatch,
  Recorder,
  roundUp,
  type Shader,
} from '../packages/floe/src/gpu/index.ts';

/** A logit no chosen expert has. */
const NEVER = -60;

export class Replay {
  /** [nLayers, nExperts] logits, each layer's at a multiple of the binding alignment: of the choice, and of the guess. */
  private readonly chosen: GPUBuffer;
  private readonly guessed: GPUBuffer;
  private readonly layerBytes: number;
  private readonly random = seeded('guesses');

  /** @param recall  How often a guess at one of a token's experts is right. */
  constructor(
    private readonly device: Device,
    readonly trace: Trace,
    readonly recall: number,
  ) {
    this.layerBytes = roundUp(trace.nExperts * 4, BINDING_ALIGNMENT);
    const buffer = (label: string) => device.buffers.storage('other', label, trace.nLayers * this.layerBytes);
    this.chosen = buffer('replayed logits');
    this.guessed = buffer('replayed guesses');
  }

  /** What the step submitted next routes by. */
  write(token: number): void {
    const { trace } = this;
    const { nLayers, nExperts, nExpertsUsed, ids, weights } = trace;
    const stride = this.layerBytes / 4;
    const chosen = new Float32Array(nLayers * stride).fill(NEVER);
    const guessed = new Float32Array(nLayers * stride).fill(NEVER);
    for (let layer = 0; layer < nLayers; layer++) {
      for (let rank = 0; rank < nExpertsUsed; rank++) {
        const at = (token * nLayers + layer) * nExpertsUsed + rank;
        chosen[layer * stride + ids[at]!] = Math.log(Math.max(weights[at]!, 1e-6));
        const isRight = this.random.int(0, 999) < 1000 * this.recall;
        guessed[layer * stride + (isRight ? ids[at]! : this.random.int(0, nExperts - 1))] = -rank;
      }
    }
    this.device.write(this.chosen, 0, new Uint8Array(chosen.buffer));
    this.device.write(this.guessed, 0, new Uint8Array(guessed.buffer));
  }

  chosenAt(layer: number): BufferView {
    return { buffer: this.chosen, offset: layer * this.layerBytes, sizeBytes: this.layerBytes };
  }

  guessedAt(layer: number): BufferView {
    return { buffer: this.guessed, offset: layer * this.layerBytes, sizeBytes: this.layerBytes };
  }

  destroy(): void {
    this.device.buffers.destroy(this.chosen);
    this.device.buffers.destroy(this.guessed);
  }
}

/** Records a decode step whose choices, and guesses `guessAhead` layers before them, are made of `replay`'s logits. */
export class ReplayRecorder extends Recorder {
  nReplaced = 0;

  constructor(
    device: Device,
    fault: BufferView,
    private readonly replay: Replay,
    private readonly guessAhead: number,
  ) {
    super(device, fault);
  }

  override dispatch<S extends Shader>(dispatch: Dispatch<S>): void {
    if (dispatch.shader.name !== 'route') {
      super.dispatch(dispatch);
      return;
    }
    const { layer } = dispatch.params as Readonly<Record<string, number>>;
    // Only a choice is looked up in the page table.
    const isChoice = 'pageTable' in dispatch.bindings;
    const logits = isChoice ? this.replay.chosenAt(layer!) : this.replay.guessedAt(layer! + this.guessAhead);
    this.nReplaced++;
    super.dispatch({ ...dispatch, bindings: { ...dispatch.bindings, logits } });
  }
}
