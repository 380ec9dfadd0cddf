// Writes what is generated from the source: shaders/shaders.d.ts and docs/errors.md.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { shadersDir, shaderTypes } from './wgsl.mjs';

writeFileSync(join(shadersDir, 'shaders.d.ts'), shaderTypes());
