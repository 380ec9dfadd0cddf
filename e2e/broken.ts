/** Small models that can't run, each made from a sound one by changing a few bytes. */
import { randomModel } from '@floe/testkit/randomModel';

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

/** Says it is of an architecture that nobody has made. */
export function unknownArchitecture(): Buffer {
  const bytes = soundModel();
  bytes.write('lamma', bytes.indexOf('llama'), 'latin1');
  return bytes;
}

/** Has its first tensor in a format no one knows: the u32 behind the name, the rank and two dimensions. */
export function unknownQuantization(): Buffer {
  const bytes = soundModel();
  const name = 'token_embd.weight';
  const noFormat = 99;
  bytes.writeUInt32LE(noFormat, bytes.indexOf(name) + name.length + 4 + 2 * 8);
  return bytes;
}
