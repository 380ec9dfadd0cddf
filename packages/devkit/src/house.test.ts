/** The house is as ARCHITECTURE.md says: its floors, its paths, its names, and what is generated from the source. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { floorFaults, readFloors, type SourceTree, shaderFaults } from './floors.ts';

const root = resolve(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** The repository's own files: tracked, or new and not ignored. */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(root, path)));

const architecture = read('ARCHITECTURE.md');
const src = 'packages/floe/src/';
const library: SourceTree = new Map(
  files
    .filter((path) => path.startsWith(src) && path.endsWith('.ts'))
    .map((path) => [path.slice(src.length), read(path)]),
);

/** Loads one of the devkit's programs, which are plain JavaScript without types. */
async function devkit<T>(file: string): Promise<T> {
  return (await import(/* @vite-ignore */ pathToFileURL(join(root, 'packages/devkit', file)).href)) as T;
}

describe('the floors', () => {
  it('are kept by every import of the library', () => {
    expect(floorFaults(library, readFloors(architecture))).toEqual([]);
  });

  const floors = [['low'], ['left', 'right'], ['high']];
  const faults = (path: string, text: string): string[] =>
    floorFaults(
      new Map([
        [path, text],
        ['low/index.ts', ''],
      ]),
      floors,
    );

  it('control: accept an import from below, through the door', () => {
    expect(faults('high/a.ts', "import { x } from '../low/index.ts';\nimport { y } from './b.ts';")).toEqual([]);
  });
  it.each([
    ['upward', 'low/a.ts', "// why\nimport { x } from '../high/index.ts';", 'low/a.ts:2: imports high/, which is not'],
    ['sideways', 'left/a.ts', "import { x } from '../right/index.ts';", 'left/a.ts:1: imports right/, which is not'],
    ['upward for a type', 'low/a.ts', "import type { X } from '../high/index.ts';", 'low/a.ts:1: imports high/'],
    ['upward in a type', 'low/a.ts', "type X = import('../high/index.ts').X;", 'low/a.ts:1: imports high/'],
    ['upward by export', 'low/a.ts', "export * from '../high/index.ts';", 'low/a.ts:1: imports high/'],
    ['upward over lines', 'low/a.ts', "import {\n  x,\n} from '../high/index.ts';", 'low/a.ts:3: imports high/'],
    ['of the roof', 'low/a.ts', "import { x } from '../index.ts';", 'low/a.ts:1: imports index.ts, the roof'],
    ['past a door', 'high/a.ts', "import { x } from '../low/b.ts';", 'high/a.ts:1: passes the door low/index.ts'],
    ['from no floor', 'attic/a.ts', '', 'attic/: on no floor'],
    ['of itself', 'low/a.ts', "import './a.ts';", 'low/a.ts:1: imports in a circle: low/a.ts -> low/a.ts'],
  ])('control: refuse an import %s', (_, path, text, fault) => {
    expect(faults(path, text)).toEqual([expect.stringContaining(fault)]);
  });
  it('control: refuse a circle of three files, and name it', () => {
    const circle = new Map([
      ['low/a.ts', "import './b.ts';"],
      ['low/b.ts', "import './c.ts';"],
      ['low/c.ts', "import type { A } from './a.ts';"],
    ]);
    expect(floorFaults(circle, floors)).toEqual([
      'low/c.ts:1: imports in a circle: low/a.ts -> low/b.ts -> low/c.ts -> low/a.ts',
    ]);
  });
});

describe('ARCHITECTURE.md', () => {
  const quoted = [...new Set([...architecture.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!))];

  it('names only paths that exist', () => {
    const paths = quoted.filter((text) => /^[\w.*-]+(\/[\w.*-]*)+$|^[\w-]+\.(ts|mjs|md|wgsl|json)$/.test(text));
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter((path) => !namesAFile(path))).toEqual([]);
  });

  /** A path may be short (`kernels/`, `index.ts`); `*` stands for a name. */
  function namesAFile(path: string): boolean {
    const escaped = path.replace(/[.+]/g, '\\$&').replaceAll('*', '[^/]*');
    const pattern = new RegExp(`(^|/)${escaped}${path.endsWith('/') ? '' : '(/|$)'}`);
    return files.some((file) => pattern.test(file));
  }

  it('names only functions, classes and types that exist', () => {
    const names = quoted.flatMap((text) => /^(?:\w+\.)*(\w+)\(\)$|^([A-Z]\w*[a-z]\w*)$/.exec(text)?.slice(1) ?? []);
    const code = files.filter((path) => /(?<!\.test)\.(ts|mjs|wgsl)$/.test(path)).map(read);
    const isDefined = (name: string): boolean => {
      const definition = new RegExp(
        `\\b(function\\*?|const|let|class|interface|type|fn) ${name}\\b|^ +(async |static |get |\\*|readonly )*${name}\\??(<[^>]*>)?(\\(|: \\()`,
        'm',
      );
      return code.some((text) => definition.test(text));
    };
    expect(names.filter((name) => name && !isDefined(name))).toEqual([]);
    // Control: a name that nobody defines is found missing.
    expect(isDefined(['no', 'such', 'function'].join('_'))).toBe(false);
  });

  it('has a line for each folder of the library', () => {
    const folders = [...new Set([...library.keys()].filter((path) => path.includes('/')).map((p) => p.split('/')[0]!))];
    expect(folders.filter((folder) => !architecture.includes(`| \`${folder}/\``))).toEqual([]);
  });
});

describe('shaders/', () => {
  it('mirrors kernels/: each shader is imported by the kernel whose stem begins its own', () => {
    const list = readdirSync(join(root, 'shaders')).filter((file) => file.endsWith('.wgsl'));
    const stems = list.map((file) => file.slice(0, -'.wgsl'.length));
    expect(shaderFaults(stems, library)).toEqual([]);
  });
  it('control: a shader of another stem is refused, one of the same family accepted', () => {
    const tree = new Map([['kernels/matvec.ts', "import a from '#shaders/matvecThread.wgsl';"]]);
    expect(shaderFaults(['matvecThread'], tree)).toEqual([]);
    expect(shaderFaults(['thread', 'matvec'], tree)).toHaveLength(2);
  });
  it('shaders.d.ts is what `pnpm gen` writes', async () => {
    const { shaderTypes } = await devkit<{ shaderTypes: () => string }>('wgsl.mjs');
    expect(read('shaders/shaders.d.ts'), 'run `pnpm gen`').toBe(shaderTypes());
  });
});

describe('docs/errors.md', () => {
  it('is what `pnpm gen` writes', async () => {
    const { errorTable } = await devkit<{ errorTable: () => string }>('errorTable.mjs');
    expect(read('docs/errors.md'), 'run `pnpm gen`').toBe(errorTable());
  });
});

describe('the repository', () => {
  it('stands for itself: no file names a path outside it', () => {
    // Written in pieces, so that this file is not the one that names them.
    const outside = new RegExp(`(^|[\\s'"\`(=:])/${'work'}/|${'shared'}/design|\\.${'library'}/`, 'm');
    const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).split('\n');
    const texts = files
      .filter((path) => tracked.includes(path))
      .filter((path) => !/\.(gguf|jsonl|png|jpg|ico|woff2?|wasm)$/.test(path));
    expect(texts.filter((path) => outside.test(read(path)))).toEqual([]);
  });
});
