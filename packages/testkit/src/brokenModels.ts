/** Small models that can't run, each made from a sound one by changing a few bytes. */
import { randomModel } from './randomModel.ts';

const FIRST_TENSOR = 'token_embd.weight';

/** A small llama that runs. */
export function soundModel(): Buffer {
  return Buffer.from(
    randomModel({
      architecture: 'llama',
      nLayers: 1,
      modelDim: 32,
      nHeads: 2,
      nKvHeads: 2,
      ffDim: 32,
      nVocab: 300,
      type: 'F32',
      seed: 1,
    }),
  );
}

/** Begins with other letters than GGUF does. */
export function wrongMagic(): Buffer {
  return edited((bytes) => bytes.write('GGML', 0, 'latin1'));
}

/** Says it is of an architecture that nobody has made. */
export function unknownArchitecture(): Buffer {
  return edited((bytes) => bytes.write('lamma', bytes.indexOf('llama'), 'latin1'));
}

/** Has its first tensor in ggml's format of this number. */
export function withQuantization(ggmlType: number): Buffer {
  return edited((bytes) => bytes.writeUInt32LE(ggmlType, afterFirstShape(bytes)));
}

/** Has its first tensor a terabyte behind its beginning. */
export function tensorOutside(): Buffer {
  return edited((bytes) => bytes.writeBigUInt64LE(1n << 40n, afterFirstShape(bytes) + 4));
}

function edited(edit: (bytes: Buffer) => void): Buffer {
  const bytes = soundModel();
  edit(bytes);
  return bytes;
}

/** Where the first tensor's type stands: behind its name, its rank and two dimensions. */
function afterFirstShape(bytes: Buffer): number {
  return bytes.indexOf(FIRST_TENSOR) + FIRST_TENSOR.length + 4 + 2 * 8;
}
