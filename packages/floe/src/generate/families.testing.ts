import type { RandomModelOptions } from '@floe/testkit/randomModel';

type Options = Omit<RandomModelOptions, 'type'>;

/** A model that is run in F32 and Q8_0 beside llama.cpp, and so a row of the README's table. */
export interface FamilyCase {
  /** `general.architecture`, and which kind of it. */
  readonly name: string;
  /** What people call such models. */
  readonly models: string;
  readonly options: Options;
}

const small = { nLayers: 2, modelDim: 64, nHeads: 4, nKvHeads: 2, nVocab: 320, seed: 41 } as const;
// Seeds with few near ties of the likeliest tokens: llama.cpp rounds activations beside quantized weights, Floe does not.
const dense = { ...small, ffDim: 96 } as const;
const moe = { ...small, ffDim: 96, expertDim: 96, nExperts: 8, nExpertsUsed: 2, clearRoutes: true } as const;

export const familyCases: readonly FamilyCase[] = [
  { name: 'arctic', models: 'Snowflake Arctic', options: { ...moe, architecture: 'arctic', seed: 49 } },
  { name: 'llama', models: 'Llama 2 and 3, Mistral', options: { ...dense, architecture: 'llama' } },
  {
    name: 'llama (Mixtral)',
    models: 'Mixtral, with merged experts or a tensor each',
    options: { ...moe, architecture: 'llama', seed: 70 },
  },
  { name: 'qwen2', models: 'Qwen2, Qwen2.5', options: { ...dense, architecture: 'qwen2', seed: 42 } },
  { name: 'qwen2moe', models: 'Qwen1.5-MoE, Qwen2-MoE', options: { ...moe, architecture: 'qwen2moe', seed: 45 } },
  // Heads that do not fill the model's width.
  { name: 'qwen3', models: 'Qwen3', options: { ...dense, architecture: 'qwen3', headDim: 32 } },
  { name: 'qwen3moe', models: 'Qwen3-MoE', options: { ...moe, architecture: 'qwen3moe', headDim: 32 } },
  { name: 'olmoe', models: 'OLMoE', options: { ...moe, architecture: 'olmoe', nKvHeads: 4, seed: 42 } },
  { name: 'dbrx', models: 'DBRX', options: { ...moe, architecture: 'dbrx', seed: 46 } },
  {
    name: 'granitemoe',
    models: 'Granite 3 MoE, with a shared expert',
    options: { ...moe, architecture: 'granitemoe', seed: 49 },
  },
  { name: 'phi3', models: 'Phi-3, Phi-3.5, Phi-4-mini', options: { ...dense, architecture: 'phi3', seed: 44 } },
  { name: 'starcoder2', models: 'StarCoder2', options: { ...dense, architecture: 'starcoder2' } },
  { name: 'gemma2', models: 'Gemma 2', options: { ...dense, architecture: 'gemma2' } },
  // Six layers, of which the last sees all.
  {
    name: 'gemma3',
    models: 'Gemma 3 (text)',
    options: { ...dense, architecture: 'gemma3', nLayers: 6, headDim: 32, seed: 50 },
  },
  { name: 'gpt-oss', models: 'gpt-oss 20B and 120B', options: { ...moe, architecture: 'gpt-oss', headDim: 32 } },
  {
    name: 'deepseek2',
    models: 'DeepSeek-V2 and V3',
    options: { ...moe, architecture: 'deepseek2', ropeDim: 16, seed: 61 },
  },
];

/** Context they were trained for at first: the prompts are longer. */
const original_context_length = 24;

export const ropeCases: readonly Omit<FamilyCase, 'models'>[] = [
  { name: 'linear', options: { ...dense, architecture: 'llama', ropeScaling: { type: 'linear', factor: { f32: 4 } } } },
  { name: 'of Llama 3 (rope_freqs)', options: { ...dense, architecture: 'llama', ropeFreqs: true } },
  {
    name: 'yarn',
    options: {
      ...dense,
      architecture: 'qwen2',
      ropeScaling: { type: 'yarn', factor: { f32: 4 }, original_context_length },
    },
  },
  {
    name: 'longrope',
    options: {
      ...dense,
      architecture: 'phi3',
      ropeScaling: { type: 'longrope', attn_factor: { f32: 1.2 }, original_context_length },
    },
  },
  {
    name: 'yarn of DeepSeek',
    options: {
      ...moe,
      architecture: 'deepseek2',
      ropeDim: 16,
      ropeScaling: { type: 'yarn', factor: { f32: 4 }, original_context_length, yarn_log_multiplier: { f32: 0.0707 } },
      metadata: { expert_group_count: 4, expert_group_used_count: 2 },
    },
  },
  {
    name: 'none (DeepSeek-V2-Lite, keys and values joined)',
    options: { ...moe, architecture: 'deepseek2', ropeDim: 16, latentJoined: true, latentLite: true, nLayers: 27 },
  },
];
