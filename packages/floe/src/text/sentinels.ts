import type { Segment } from './tokenizer.ts';

/**
 * Stand-ins for the messages' contents while a template is rendered: the cut falls where they come out, so nothing a
 * message says can be taken for the template's own text.
 *
 * A content's white space at both ends stays in place around its stand-in: a template that trims or tests the
 * content does to the stand-in what it would do to the content. An empty content stays empty.
 */
export class Sentinels {
  readonly #contents: readonly {
    readonly placeholder: string;
    readonly core: string;
    readonly before: string;
    readonly after: string;
  }[];
  readonly #mark: string;
  readonly #pattern: RegExp;

  /** @param surroundings  All else the result is made of: the stand-ins are built on a character it lacks. */
  constructor(surroundings: string, contents: readonly string[]) {
    const mark = unusedCharacter(surroundings);
    this.#mark = mark;
    this.#pattern = new RegExp(`${mark}(\\d+)${mark}`, 'gu');
    this.#contents = contents.map((content, index) => {
      const core = content.trim();
      const from = content.indexOf(core);
      const [before, after] = [content.slice(0, from), content.slice(from + core.length)];
      return { placeholder: core === '' ? content : `${before}${mark}${index}${mark}${after}`, core, before, after };
    });
  }

  /** What to render in place of the content of message `index`. */
  placeholder(index: number): string {
    return this.#contents[index]?.placeholder ?? '';
  }

  /**
   * The rendered text in segments, each content back in its place. `real` is what the template made of the contents
   * themselves: where it wrote one as JSON, so does this.
   */
  cut(rendered: string, real: string): Segment[] {
    const segments: Segment[] = [];
    let end = 0;
    let length = 0;
    const push = (kind: Segment['kind'], text: string) => {
      if (text === '') return;
      segments.push({ kind, text });
      length += text.length;
    };
    for (const match of rendered.matchAll(this.#pattern)) {
      const content = this.#contents[Number(match[1])];
      if (!content) continue;
      let [from, to] = [match.index, match.index + match[0].length];
      // The content's own white space comes along, so that no token made of it can be forged either. Where the
      // template trimmed it and wrote the same itself, that changes the kind of a few spaces and nothing else.
      const before = commonEnd(rendered.slice(end, from), content.before);
      const after = commonStart(rendered.slice(to), content.after);
      from -= before.length;
      to += after.length;
      push('frame', rendered.slice(end, from));
      const asJson = JSON.stringify(content.core).slice(1, -1);
      const isJson = asJson !== content.core && real.startsWith(asJson, length + before.length);
      push('content', before + (isJson ? asJson : content.core) + after);
      end = to;
    }
    push('frame', rendered.slice(end));
    return segments;
  }

  /** Whether a part of a stand-in is left in the frames: the template took it apart. */
  brokenIn(segments: readonly Segment[]): boolean {
    // The mark is two UTF-16 units: a cut through it leaves half a pair.
    return segments.some(
      ({ kind, text }) => kind === 'frame' && (text.includes(this.#mark) || /\p{Surrogate}/u.test(text)),
    );
  }
}

/** A private-use character that `text` lacks: it stands for nothing, is no white space, has no upper case. */
function unusedCharacter(text: string): string {
  for (let codePoint = 0xf0000; ; codePoint++) {
    const character = String.fromCodePoint(codePoint);
    if (!text.includes(character)) return character;
  }
}

function commonStart(text: string, wanted: string): string {
  let length = 0;
  while (length < wanted.length && text[length] === wanted[length]) length++;
  return wanted.slice(0, length);
}

function commonEnd(text: string, wanted: string): string {
  let length = 0;
  while (length < wanted.length && text.at(-1 - length) === wanted.at(-1 - length)) length++;
  return length === 0 ? '' : wanted.slice(-length);
}
