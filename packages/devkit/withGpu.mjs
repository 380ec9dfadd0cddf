// Runs a command under an environment in which Node's `webgpu` finds an adapter: node withGpu.mjs vitest run
import { spawnSync } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vulkanEnv } from './chromium.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const [command, ...args] = process.argv.slice(2);
const bins = [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter);
const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...vulkanEnv(), PATH: bins } });
process.exit(status ?? 1);
