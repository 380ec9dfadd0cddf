import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopMatcher } from './stop.ts';

/** What comes out of a matcher when `text` arrives in pieces of these lengths. */
function through(
  text: string,
  stops: readonly string[],
  lengths: readonly number[],
): { out: string; stopped: boolean } {
  const matcher = new StopMatcher(stops);
  let out = '';
  let at = 0;
  for (const length of [...lengths, text.length]) {
    const piece = matcher.push(text.slice(at, at + length));
    at += length;
    out += piece.text;
    if (piece.stopped) return { out, stopped: true };
  }
  return { out: out + matcher.flush(), stopped: false };
}

describe('StopMatcher', () => {
  it('gives the text before the first stop string, wherever the pieces are cut', () => {
    const texts = fc.string({ unit: fc.constantFrom('a', 'b', '\n') });
    fc.assert(
      fc.property(
        texts,
        fc.array(
          texts.filter((s) => s !== ''),
          { minLength: 1, maxLength: 3 },
        ),
        fc.array(fc.nat(3)),
        (text, stops, lengths) => {
          const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
          const { out, stopped } = through(text, stops, lengths);
          expect(stopped).toBe(found.length > 0);
          // Of two stop strings, the one that is complete first ends the text; it can't end before the leftmost begins.
          if (stops.length === 1 || found.length === 0)
            expect(out).toBe(found.length > 0 ? text.slice(0, Math.min(...found)) : text);
        },
      ),
    );
  });

  it('gives out what can no longer begin a stop string', () => {
    const matcher = new StopMatcher(['END']);
    expect(matcher.push('xE')).toEqual({ text: 'x', stopped: false });
    expect(matcher.push('N')).toEqual({ text: '', stopped: false });
    expect(matcher.push('Ny')).toEqual({ text: 'ENNy', stopped: false });
  });
});
