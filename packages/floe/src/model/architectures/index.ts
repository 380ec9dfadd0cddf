import type { Architecture } from '../architecture.ts';
import { arctic } from './arctic.ts';
import { llama } from './llama.ts';

/** Every architecture Floe runs; adding one is a file beside these and a line here. */
export const architectures: readonly Architecture[] = [arctic, llama];
