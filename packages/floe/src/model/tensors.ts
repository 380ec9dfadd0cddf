import { GgufError, ModelError } from '../errors/index.ts';
import type { Gguf, TensorInfo } from '../gguf/index.ts';
import { formats, type QuantFormat } from '../quant/index.ts';

/** A tensor that Floe has a format for. */
export interface RunnableTensor extends TensorInfo {
  readonly format: QuantFormat;
}

/**
 * Takes tensors by name and holds each to the shape the hyperparameters imply; at the end, none may be left. A tensor
 * nobody asked for would be a weight the model was trained with and we don't apply.
 */
export class TensorShelf {
  private readonly taken = new Set<string>();

  constructor(private readonly gguf: Gguf) {}

  has(name: string): boolean {
    return this.gguf.tensors.has(name);
  }

  /** Undefined where the file has none of that name. */
  shapeOf(name: string): readonly number[] | undefined {
    return this.gguf.tensors.get(name)?.shape;
  }

  /** @param shape row-major: the last dimension is the row. */
  take(name: string, shape: readonly number[]): RunnableTensor {
    const tensor = this.gguf.tensors.get(name);
    if (!tensor) {
      throw new ModelError(
        'model/missing-tensor',
        `The file has no tensor ${name}, which ${this.gguf.architecture} needs.`,
        {
          remedy: 'The file was converted by another tool or for another purpose. Convert or download the model again.',
          details: { tensor: name },
        },
      );
    }
    if (tensor.shape.join() !== shape.join()) {
      throw new ModelError('model/shape', `${name} is [${tensor.shape}]; its metadata implies [${shape}].`, {
        remedy: 'Metadata and tensors of this file contradict each other. Convert or download the model again.',
        details: { tensor: name, found: [...tensor.shape], expected: [...shape] },
      });
    }
    this.taken.add(name);
    if (!tensor.format) {
      throw new GgufError(
        'gguf/unsupported-type',
        `${name} is ${tensor.typeName}, a quantization Floe can't run yet.`,
        {
          remedy: `Take a file of the model in one of ${formats.map(({ name }) => name).join(', ')}.`,
          details: { tensor: name, type: tensor.typeName },
        },
      );
    }
    return tensor as RunnableTensor;
  }

  /** Throws if the file holds a tensor that was not taken. */
  finish(): void {
    const left = [...this.gguf.tensors.keys()].filter((name) => !this.taken.has(name));
    if (left.length === 0) return;
    throw new ModelError(
      'model/shape',
      `The file holds ${left.length} tensors ${this.gguf.architecture} has no use for, ${left[0]} first.`,
      {
        remedy: 'The model is of a kind this version of Floe does not run in full, so it would answer wrongly.',
        details: { tensors: left.slice(0, 10) },
      },
    );
  }
}
