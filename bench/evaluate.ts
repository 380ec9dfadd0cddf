/** How often a model's greedy answers are the expected ones, and the ones an independent engine gave. */
import type { ChatMessage, Model } from 'floe/node';

/** A line of a set. `answers` are an independent engine's greedy answers, by quantization ('q4_0'). */
export interface EvalItem {
  readonly messages: readonly ChatMessage[];
  readonly expected: string;
  readonly answers?: Readonly<Record<string, string>>;
}

export interface EvalResult {
  /** Share of answers that are `expected`, letter for letter. */
  readonly exact: number;
  readonly n: number;
  /** Share of answers that are the recorded ones for this quantization; null where none are recorded. */
  readonly agrees: number | null;
  /** Share of the recorded answers that are `expected`: what `exact` is to be compared with. */
  readonly recordedExact: number | null;
}

export interface EvalAnswer {
  readonly item: EvalItem;
  readonly answer: string;
  readonly recorded: string | null;
}

/** Reads a set: JSON Lines, blank lines aside. */
export function readSet(text: string): EvalItem[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    const item = JSON.parse(line) as Partial<EvalItem>;
    if (!Array.isArray(item.messages) || typeof item.expected !== 'string') {
      throw new Error(`line ${i + 1} of the set has no \`messages\` and \`expected\``);
    }
    return [item as EvalItem];
  });
}

/** Longest answer, in tokens; the recorded answers were cut there too. */
const MAX_TOKENS = 120;

/** Asks every question, one after the other. `onAnswer` sees each. */
export async function evaluate(
  model: Model,
  items: readonly EvalItem[],
  options: { readonly signal?: AbortSignal; readonly onAnswer?: (answer: EvalAnswer) => void } = {},
): Promise<EvalResult> {
  const quantization = model.info.quantization.toLowerCase();
  const signal = options.signal ? { signal: options.signal } : {};
  const answers: EvalAnswer[] = [];
  for (const item of items) {
    const request = { messages: item.messages, temperature: 0, max_tokens: MAX_TOKENS, ...signal };
    const completion = await model.chat.completions.create(request);
    const answer = completion.choices[0].message.content.trim();
    answers.push({ item, answer, recorded: item.answers?.[quantization]?.trim() ?? null });
    options.onAnswer?.(answers.at(-1)!);
  }
  const recorded = answers.filter(({ recorded }) => recorded !== null);
  const share = (all: readonly EvalAnswer[], isRight: (answer: EvalAnswer) => boolean): number | null =>
    all.length === 0 ? null : all.filter(isRight).length / all.length;
  return {
    exact: share(answers, ({ item, answer }) => answer === item.expected.trim()) ?? 0,
    n: answers.length,
    agrees: share(recorded, (a) => withoutSpaces(a.answer) === withoutSpaces(a.recorded ?? '')),
    recordedExact: share(recorded, (a) => withoutSpaces(a.recorded ?? '') === withoutSpaces(a.item.expected.trim())),
  };
}

/**
 * As llama.cpp writes text that it made of byte-level BPE: it takes the space before a contraction for one that a word
 * tokenizer put there, so `= 'shipped'` became `='shipped'` in the recorded answers. The ids are the same; both sides of
 * a comparison with them are written so.
 */
function withoutSpaces(text: string): string {
  return text.replace(/ (?=[?!.,])/g, '').replace(/ '(?=(?:s|m|re|ve))/g, "'");
}
