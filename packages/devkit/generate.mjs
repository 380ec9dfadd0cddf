// Writes what is generated from the source: shaders/shaders.d.ts and docs/errors.md.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorTable } from './errorTable.mjs';
import { shadersDir, shaderTypes } from './wgsl.mjs';

const docs = join(dirname(fileURLToPath(import.meta.url)), '../../docs');
mkdirSync(docs, { recursive: true });
writeFileSync(join(docs, 'errors.md'), errorTable());
writeFileSync(join(shadersDir, 'shaders.d.ts'), shaderTypes());
