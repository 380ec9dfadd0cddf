import { InternalError } from '../errors/index.ts';
import { bf16 } from './bf16.ts';
import { f8_e4m3 } from './f8_e4m3.ts';
import { f16 } from './f16.ts';
import { f32 } from './f32.ts';
import type { FormatName, QuantFormat } from './format.ts';
import { iq4_nl } from './iq4_nl.ts';
import { iq4_xs } from './iq4_xs.ts';
import { mxfp4 } from './mxfp4.ts';
import { q2_k } from './q2_k.ts';
import { q3_k } from './q3_k.ts';
import { q4_0 } from './q4_0.ts';
import { q4_1 } from './q4_1.ts';
import { q4_k } from './q4_k.ts';
import { q5_0 } from './q5_0.ts';
import { q5_1 } from './q5_1.ts';
import { q5_k } from './q5_k.ts';
import { q6_k } from './q6_k.ts';
import { q8_0 } from './q8_0.ts';
import { tq2_0 } from './tq2_0.ts';

/** The formats Floe runs. Every test that says "for each format" runs over this list. */
export const formats: readonly QuantFormat[] = [
  f32,
  f16,
  bf16,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4,
  tq2_0,
  f8_e4m3,
];

const byName = new Map(formats.map((format) => [format.name, format]));
const byGgmlType = new Map(formats.map((format) => [format.ggmlType, format]));

/** The row of a format by ggml's name for it. */
export function formatByName(name: FormatName): QuantFormat {
  const format = byName.get(name);
  if (!format) throw new InternalError(`No row in quant/formats.ts is called ${name}.`);
  return format;
}

/** The row of a format by its number in a GGUF file, or undefined where Floe has none. */
export function formatByGgmlType(ggmlType: number): QuantFormat | undefined {
  return byGgmlType.get(ggmlType);
}
