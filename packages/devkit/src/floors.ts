/** The floors of the house, as ARCHITECTURE.md states them, held against the imports that are there. */

/** Source files by their path below the source folder ('kernels/rmsNorm.ts'). */
export type SourceTree = ReadonlyMap<string, string>;

/** A relative import, type-only ones too: what a type names is as much of a dependency as what a call needs. */
export interface ImportLine {
  readonly from: string;
  readonly line: number;
  readonly to: string;
}

/** The floors, lowest first; the folders of one floor don't know each other. */
export function readFloors(architecture: string): string[][] {
  const line = architecture.split('\n').find((text) => /^`[\w ]+` < `/.test(text));
  if (!line) throw new Error('ARCHITECTURE.md has no line of floors (`errors` < `host` < …)');
  return [...line.matchAll(/`([\w ]+)`/g)].map((match) => match[1]!.split(' '));
}

/** Every relative import, resolved to a path below the source folder. */
export function readImports(tree: SourceTree): ImportLine[] {
  const imports: ImportLine[] = [];
  for (const [from, text] of tree) {
    text.split('\n').forEach((content, i) => {
      if (/^\s*(\*|\/\/|\/\*)/.test(content)) return;
      for (const match of content.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\1/g)) {
        imports.push({ from, line: i + 1, to: resolvePath(from, match[2]!) });
      }
    });
  }
  return imports;
}

function resolvePath(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** The folder a path lies in, or null for the roof: `index.ts` and `node.ts` themselves. */
function folderOf(path: string): string | null {
  return path.includes('/') ? path.split('/')[0]! : null;
}

/** A test, or what tests share. */
const isTest = (path: string): boolean => /\.(test|testing)\.ts$/.test(path);

/** A folder's doors: `index.ts`, and `node.ts` for what only Node can load. */
const isDoor = (path: string): boolean => /^[^/]+\/(index|node)\.ts$/.test(path);

/** What breaks the rules of the house, one line each: `file:line: what`. Empty when all is well. */
export function floorFaults(tree: SourceTree, floors: readonly (readonly string[])[]): string[] {
  const height = new Map(floors.flatMap((folders, floor) => folders.map((folder) => [folder, floor] as const)));
  const imports = readImports(tree);
  const unknown = [...new Set([...tree.keys()].map(folderOf))].filter((folder) => folder && !height.has(folder));
  return [
    ...unknown.map((folder) => `${folder}/: on no floor of ARCHITECTURE.md`),
    ...imports.flatMap((line) => importFaults(line, height)),
    ...circles(imports),
  ];
}

function importFaults({ from, line, to }: ImportLine, height: ReadonlyMap<string, number>): string[] {
  const [fromFolder, toFolder] = [folderOf(from), folderOf(to)];
  if (fromFolder === null || fromFolder === toFolder) return [];
  if (toFolder === null) return [`${from}:${line}: imports ${to}, the roof`];
  const faults: string[] = [];
  const [fromFloor, toFloor] = [height.get(fromFolder), height.get(toFolder)];
  if (fromFloor !== undefined && toFloor !== undefined && toFloor >= fromFloor) {
    faults.push(`${from}:${line}: imports ${toFolder}/, which is not below ${fromFolder}/`);
  }
  // A test may look behind a door (a reference, a fixture); what ships may not.
  if (!isDoor(to) && !isTest(from)) faults.push(`${from}:${line}: passes the door ${toFolder}/index.ts for ${to}`);
  return faults;
}

/** One line for each import that closes a circle of files, found by walking depth first. */
function circles(imports: readonly ImportLine[]): string[] {
  const outgoing = new Map<string, ImportLine[]>();
  for (const line of imports) outgoing.set(line.from, [...(outgoing.get(line.from) ?? []), line]);
  const faults: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (file: string, chain: readonly string[]): void => {
    state.set(file, 'open');
    for (const { line, to } of outgoing.get(file) ?? []) {
      if (state.get(to) === 'open') {
        const circle = [...chain.slice(chain.indexOf(to)), to];
        faults.push(`${file}:${line}: imports in a circle: ${circle.join(' -> ')}`);
      } else if (!state.has(to)) {
        visit(to, [...chain, to]);
      }
    }
    state.set(file, 'done');
  };
  for (const file of outgoing.keys()) if (!state.has(file)) visit(file, [file]);
  return faults;
}

/** Shaders that no kernel of their stem imports: `matvecThread.wgsl` belongs to `kernels/matvec.ts`, which imports it. */
export function shaderFaults(shaders: readonly string[], tree: SourceTree): string[] {
  const kernels = [...tree].filter(([path]) => /^kernels\/[^.]+\.ts$/.test(path));
  return shaders.flatMap((stem) => {
    const owners = kernels.filter(([path]) => stem.startsWith(path.slice('kernels/'.length, -'.ts'.length)));
    if (owners.some(([, text]) => text.includes(`#shaders/${stem}.wgsl`))) return [];
    return [`shaders/${stem}.wgsl: imported by no kernels/*.ts whose stem begins its own`];
  });
}
