/** What a block means, by llama.cpp, which we did not write: its own numbers out of random blocks. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeGguf } from '@floe/testkit/ggufWriter';
import { openOracle } from '@floe/testkit/oracle';
import { randomBlocks } from '@floe/testkit/randomBlocks';
import { MIN_VOCAB, randomTokenizer } from '@floe/testkit/randomTokenizer';
import { seeded } from '@floe/testkit/seeded';
import { afterAll, expect, it } from 'vitest';
import { OWN_TYPES, type QuantFormat } from './format.ts';
import { formats } from './formats.ts';

const DIM = 256;
const EPS = 1e-5;
const NVOCAB = Math.max(MIN_VOCAB, DIM + 1);
const IDS = [0, 1, 2, 100, NVOCAB - 1];
const folder = mkdtempSync(join(tmpdir(), 'floe-blocks-'));
const random = seeded('blocks');

afterAll(() => rmSync(folder, { recursive: true }));

/** Scales of one size, so that no row's norm hides its smallest weights. */
const blocksOf = (format: QuantFormat) => randomBlocks(format, NVOCAB * DIM, random, { exponents: [-3, 3] });

const ofGgml = formats.filter(({ blockElements, ggmlType }) => blockElements > 1 && ggmlType < OWN_TYPES);

it.each(ofGgml)('$name means what llama.cpp reads', async (format) => {
  const bytes = blocksOf(format);
  const weights = format.dequantize(bytes, NVOCAB * DIM);
  const path = join(folder, `${format.name}.gguf`);
  writeFileSync(path, embeddingReader(format, bytes));
  const oracle = await openOracle(path, { nCtx: 64 });
  const rows = await oracle.logprobs(IDS);
  await oracle.close();
  for (const [i, id] of IDS.entries()) {
    const row = weights.subarray(id * DIM, (id + 1) * DIM);
    const scale = 1 / Math.sqrt(row.reduce((sum, w) => sum + w * w, 0) / DIM + EPS);
    // The last row of the output matrix is zero: log-probabilities less its own are logits.
    const logits = rows[i]!.map((logprob) => logprob - rows[i]![NVOCAB - 1]!);
    for (let at = 0; at < DIM; at++) {
      const expected = row[at]! * scale;
      // Four roundings to f32, of the row's norm among them; d·q - dMin·m is rounded where its terms may cancel.
      if (Math.abs(logits[at]! - expected) > 1e-6 * (1 + Math.abs(expected)))
        expect.fail(`weight ${at} of row ${id}: ${logits[at]! / scale} instead of ${row[at]}`);
    }
  }
});

it('control: one bit of a quant is seen', async () => {
  const format = formats.find(({ name }) => name === 'Q6_K')!;
  const bytes = blocksOf(format);
  const other = bytes.slice();
  other[0]! ^= 1;
  const [one, two] = [bytes, other].map((of) => format.dequantize(of, DIM));
  const norm = Math.sqrt(one!.reduce((sum, w) => sum + w * w, 0) / DIM);
  expect(Math.abs(one![0]! - two![0]!) / norm).toBeGreaterThan(1e-4);
});

/**
 * A llama whose only layer adds nothing and whose output matrix is the identity, zeros below: its logits are the embedding
 * of the last token over that row's norm.
 */
function embeddingReader(format: QuantFormat, embedding: Uint8Array): Uint8Array {
  const zeros = (name: string, shape: readonly number[], value: (i: number) => number = () => 0) => {
    const nElements = shape.reduce((total, dim) => total * dim, 1);
    const data = Float32Array.from({ length: nElements }, (_, i) => value(i));
    return { name: `${name}.weight`, shape, type: 'F32' as const, data };
  };
  const one = (name: string) => zeros(name, [DIM], () => 1);
  const square = (name: string) => zeros(`blk.0.${name}`, [DIM, DIM]);
  const file = writeGguf({
    metadata: {
      'general.architecture': 'llama',
      'llama.vocab_size': NVOCAB,
      'llama.context_length': 64,
      'llama.embedding_length': DIM,
      'llama.block_count': 1,
      'llama.feed_forward_length': DIM,
      'llama.attention.head_count': 4,
      'llama.attention.head_count_kv': 4,
      'llama.attention.layer_norm_rms_epsilon': { f32: EPS },
      'llama.rope.dimension_count': DIM / 4,
      ...randomTokenizer(NVOCAB),
    },
    tensors: [
      one('output_norm'),
      zeros('output', [NVOCAB, DIM], (i) => (Math.floor(i / DIM) === i % DIM ? 1 : 0)),
      one('blk.0.attn_norm'),
      one('blk.0.ffn_norm'),
      ...['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'].map(square),
      // The last, so that its bytes can be put in its place.
      { name: 'token_embd.weight', shape: [NVOCAB, DIM], type: format.name, data: new Float32Array(NVOCAB * DIM) },
    ],
  });
  file.set(embedding, file.length - Math.ceil(embedding.length / 32) * 32);
  return file;
}
