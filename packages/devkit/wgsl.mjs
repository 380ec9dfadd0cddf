// WGSL as modules. `import matvec from '#shaders/matvec.wgsl'` gives the shader's text with its `#import "parts/…"`
// lines resolved, and what the host must know of it (bindings, Params, overrides), read from the WGSL itself.
// A line `#import <name>` stays: it is a hole the host fills with a part when it makes the pipeline.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const shadersDir = join(dirname(fileURLToPath(import.meta.url)), '../../shaders');

/** The plugin, for Vite, Vitest and Rolldown alike. */
export function wgslPlugin() {
  return {
    name: 'floe-wgsl',
    enforce: 'pre',
    resolveId(id) {
      return id.startsWith('#shaders/') ? join(shadersDir, id.slice('#shaders/'.length)) : null;
    },
    load(id) {
      if (!id.endsWith('.wgsl')) return null;
      const { module, files } = readShader(id);
      for (const file of files) this.addWatchFile(file);
      return { code: `export default ${JSON.stringify(module)};`, moduleType: 'js' };
    },
  };
}

/** Reads a shader or part and describes it. */
export function readShader(path) {
  const files = new Set();
  const code = resolveImports(path, files, []);
  return { module: describe(relative(shadersDir, path).replace(/\.wgsl$/, ''), code), files };
}

function resolveImports(path, files, chain) {
  if (chain.includes(path)) throw new Error(`WGSL imports in a circle: ${[...chain, path].join(' -> ')}`);
  // A part two others import is written once, like a header with a guard.
  if (files.has(path)) return '';
  files.add(path);
  return readFileSync(path, 'utf8').replace(/^#import "([^"]+)".*$/gm, (_, name) =>
    resolveImports(join(shadersDir, name), files, [...chain, path]).trimEnd(),
  );
}

function describe(name, code) {
  const text = code.replace(/\/\/.*$/gm, '');
  const params = structMembers(text, 'Params');
  return {
    name,
    code,
    bindings: [...text.matchAll(/@group\(0\)\s*@binding\((\d+)\)\s*var<([^>]+)>\s*(\w+)\s*:/g)].map((m) => ({
      binding: Number(m[1]),
      name: m[3],
      access: m[2].startsWith('uniform') ? 'uniform' : m[2].includes('read_write') ? 'readWrite' : 'read',
    })),
    params: params.map(([member, type]) => {
      if (!['u32', 'i32', 'f32'].includes(type)) throw new Error(`${name}: Params.${member} is ${type}; only scalars`);
      return { name: member, type };
    }),
    overrides: [...text.matchAll(/^\s*override\s+(\w+)\s*:/gm)].map((m) => m[1]),
    holes: [...text.matchAll(/^#import <(\w+)>/gm)].map((m) => m[1]),
    entryPoint: /@compute[^{]*?fn\s+(\w+)/s.exec(text)?.[1] ?? '',
    readsFault: /var<storage, read> fault\b/.test(text),
  };
}

function structMembers(text, structName) {
  const body = new RegExp(`struct ${structName}\\s*{([^}]*)}`).exec(text)?.[1] ?? '';
  return [...body.matchAll(/(\w+)\s*:\s*(\w+)/g)].map((m) => [m[1], m[2]]);
}

/** Every shader and part, by their paths below shaders/. */
export function allShaders() {
  const list = (dir) =>
    readdirSync(join(shadersDir, dir))
      .filter((f) => f.endsWith('.wgsl'))
      .sort();
  return [
    ...list('.').map((file) => join(shadersDir, file)),
    ...list('parts').map((file) => join(shadersDir, 'parts', file)),
  ];
}

/** shaders/shaders.d.ts: what TypeScript knows of each import, so that a call can't name a binding that is not there. */
export function shaderTypes() {
  const modules = allShaders().map((path) => {
    const { module } = readShader(path);
    const isPart = basename(dirname(path)) === 'parts';
    const record = (entries) => (entries.length ? `{ ${entries.join('; ')} }` : 'Record<never, never>');
    const type = isPart
      ? "import('../packages/floe/src/gpu/shader.ts').ShaderPart"
      : `import('../packages/floe/src/gpu/shader.ts').Shader<${record(
          module.bindings.filter((b) => b.access !== 'uniform').map((b) => `${b.name}: '${b.access}'`),
        )}, ${record(module.params.map((p) => `${p.name}: '${p.type}'`))}, ${
          module.overrides.map((o) => `'${o}'`).join(' | ') || 'never'
        }, ${module.holes.map((h) => `'${h}'`).join(' | ') || 'never'}>`;
    return `declare module '#shaders/${module.name}.wgsl' {\n  const shader: ${type};\n  export default shader;\n}\n`;
  });
  return `// Generated from the WGSL by \`pnpm gen\`; a test holds it to its source.\n\n${modules.join('\n')}`;
}
