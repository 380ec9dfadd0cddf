import type { Architecture } from '../architecture.ts';
import { arctic } from './arctic.ts';
import { bert, nomicBert } from './bert.ts';
import { dbrx } from './dbrx.ts';
import { deepseek2 } from './deepseek.ts';
import { gemma2, gemma3 } from './gemma.ts';
import { gptOss } from './gptOss.ts';
import { granitemoe } from './granite.ts';
import { llama } from './llama.ts';
import { olmoe } from './olmoe.ts';
import { phi3 } from './phi3.ts';
import { qwen2, qwen2moe, qwen3, qwen3moe } from './qwen.ts';
import { starcoder2 } from './starcoder2.ts';

/** Every architecture Floe runs; adding one is a file beside these and a line here. */
export const architectures: readonly Architecture[] = [
  arctic,
  bert,
  dbrx,
  deepseek2,
  gemma2,
  gemma3,
  gptOss,
  granitemoe,
  llama,
  nomicBert,
  olmoe,
  phi3,
  qwen2,
  qwen2moe,
  qwen3,
  qwen3moe,
  starcoder2,
];
