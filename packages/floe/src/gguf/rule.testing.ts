/** For the tests of the reader's rules: files a field away from a sound one, and how a rule is tested. */
import { kv, number, type RawGguf, type RawTensor, rawGguf, text } from '@floe/testkit/rawGguf';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, FloeError } from '../errors/index.ts';
import { parseHeader } from './header.ts';

interface Rejected {
  readonly what: string;
  readonly file: Uint8Array;
  readonly code: ErrorCode;
  /** What the message must name. */
  readonly says: RegExp;
}
type Accepted = readonly [what: string, file: Uint8Array];

const architecture = kv('general.architecture', 'string', text('llama'));
/** A row of 32 F32 weights. */
export const row: RawTensor = { name: 'a', ne: [32], type: 0, data: new Uint8Array(128) };
export const sound = file({ tensors: [row] });

export function file(parts: RawGguf): Uint8Array {
  return rawGguf({ ...parts, kvs: [architecture, ...(parts.kvs ?? [])] });
}
export const withKv = (...kvs: Uint8Array[]) => file({ kvs });
export const withTensor = (tensor: Partial<RawTensor>) => file({ tensors: [{ ...row, ...tensor }] });
export const aligned = (alignment: number) => kv('general.alignment', 'u32', number('u32', alignment));
export const u8 = (key: string | Uint8Array) => kv(key, 'u8', number('u8', 1));
export const q4 = (blocks: number): RawTensor => ({
  name: 'q',
  ne: [32, blocks],
  type: 2,
  data: new Uint8Array(18 * blocks),
});

/** A rule, with what it rejects and the nearest files it accepts. A row is a whole file. */
export function rule(
  name: string,
  { rejects, accepts }: { rejects: readonly Rejected[]; accepts: readonly Accepted[] },
): void {
  describe(name, () => {
    it.each(rejects)('rejects $what', ({ file: bytes, code, says }) => {
      const error = thrownBy(() => parseHeader(bytes, bytes.length));
      expect(error).toBeInstanceOf(FloeError);
      const { code: found, message, remedy } = error as FloeError;
      expect(found).toBe(code);
      expect(message).toMatch(says);
      expect(remedy.length).toBeGreaterThan(0);
      expect(message.length, message).toBeLessThan(400);
    });
    it.each(accepts)('accepts %s', (_what, bytes) => {
      expect(parseHeader(bytes, bytes.length).kind).toBe('done');
    });
  });
}

function thrownBy(act: () => unknown): unknown {
  try {
    return act();
  } catch (thrown) {
    return thrown;
  }
}
