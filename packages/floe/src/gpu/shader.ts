/** What the WGSL import gives the host: the text, and what the host must say to run it, read from the WGSL itself. */

export type BindingAccess = 'read' | 'readWrite';
export type ScalarType = 'u32' | 'i32' | 'f32';

/**
 * A shader as imported. The type parameters come from the WGSL (shaders/shaders.d.ts), so a call that names a binding,
 * parameter, override or hole the shader does not have is a type error.
 */
export interface Shader<
  Bindings extends Record<string, BindingAccess> = Record<string, BindingAccess>,
  Params extends Record<string, ScalarType> = Record<string, ScalarType>,
  Override extends string = string,
  Hole extends string = string,
> {
  readonly name: string;
  readonly code: string;
  readonly entryPoint: string;
  readonly bindings: readonly {
    readonly binding: number;
    readonly name: string;
    readonly access: 'uniform' | BindingAccess;
  }[];
  readonly params: readonly { readonly name: string; readonly type: ScalarType }[];
  readonly overrides: readonly string[];
  /** Names of `#import <name>` lines, which a part must fill. */
  readonly holes: readonly Hole[];
  /** True where the shader begins with the fault test: bind group 1 then holds the fault flag. */
  readonly readsFault: boolean;
  /** Carried for the types only. */
  readonly types?: { bindings: Bindings; params: Params; override: Override };
}

/** A piece of WGSL that fills a hole. It may bring bindings of its own. */
export type ShaderPart = Pick<Shader, 'name' | 'code' | 'bindings'>;

export type BindingsOf<S> = S extends Shader<infer B, infer _P, infer _O, infer _H> ? B : never;
export type ParamsOf<S> = S extends Shader<infer _B, infer P, infer _O, infer _H> ? P : never;
export type HolesOf<S> = S extends Shader<infer _B, infer _P, infer _O, infer H> ? H : never;

/**
 * The shader's text with its holes filled, its tunable constants set and its repeats written out.
 *
 * A tunable is a line `const NAME = 4u; // tunable`: an `override` can't size an array in registers, so the text must
 * say it. `#repeat i NAME … #end` stands for NAME copies with `$i` replaced: registers can't be indexed by a variable
 * without being spilled, and not every compiler unrolls (docs/performance.md).
 */
export function compose(
  shader: Pick<Shader, 'name' | 'code'>,
  parts: Readonly<Record<string, ShaderPart>>,
  tunables: Readonly<Record<string, number>> = {},
): string {
  let code = shader.code.replace(/^#import <(\w+)>.*$/gm, (_, hole: string) => {
    const part = parts[hole];
    if (!part) throw new Error(`${shader.name}: nothing fills the hole <${hole}>`);
    return part.code.trimEnd();
  });
  for (const [name, value] of Object.entries(tunables)) {
    const line = new RegExp(`^const ${name} = \\d+u; // tunable`, 'm');
    if (!line.test(code)) throw new Error(`${shader.name}: no tunable ${name}`);
    code = code.replace(line, `const ${name} = ${value}u; // tunable`);
  }
  const constants = new Map([...code.matchAll(/^const (\w+) = (\d+)u;/gm)].map((m) => [m[1] ?? '', Number(m[2])]));
  return hoistDirectives(writeOutRepeats(code.split('\n'), constants).join('\n'));
}

function writeOutRepeats(lines: readonly string[], constants: ReadonlyMap<string, number>): string[] {
  const out: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    const repeat = /^\s*#repeat (\w) (\w+)/.exec(line);
    if (!repeat) {
      out.push(line);
      continue;
    }
    const end = endOfRepeat(lines, at);
    const times = constants.get(repeat[2] ?? '');
    if (times === undefined) throw new Error(`#repeat ${repeat[2]}: no such constant`);
    const body = lines.slice(at + 1, end);
    for (let i = 0; i < times; i++) {
      const copy = body.map((text) => text.replaceAll(`$${repeat[1]}`, String(i)));
      out.push(...writeOutRepeats(copy, constants));
    }
    at = end;
  }
  return out;
}

function endOfRepeat(lines: readonly string[], start: number): number {
  let depth = 0;
  for (let at = start; at < lines.length; at++) {
    if (/^\s*#repeat\b/.test(lines[at] ?? '')) depth++;
    else if (/^\s*#end\b/.test(lines[at] ?? '') && --depth === 0) return at;
  }
  throw new Error(`#repeat without its #end: ${lines[start]}`);
}

/** `enable` and `diagnostic` lines must come before all else; parts bring their own, perhaps twice. */
function hoistDirectives(code: string): string {
  const directives = new Set<string>();
  const body = code.replace(/^(?:enable|diagnostic|requires)\b[^;]*;.*$/gm, (line) => {
    directives.add(line);
    return '';
  });
  return [...directives, body].join('\n');
}
