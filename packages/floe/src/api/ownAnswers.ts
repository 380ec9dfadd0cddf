import type { OwnAnswer } from '../store/index.ts';

/**
 * The ids of a model's own answers, by their text. A text has many tokenizations, and a model does not always write the one a
 * tokenizer makes: where an answer comes back in the next turn's messages, its own ids are the ones whose keys are cached.
 */
export class OwnAnswers {
  /** The one used last is at the end. */
  private readonly byText = new Map<string, readonly number[]>();

  constructor(private readonly most = 64) {}

  remember(text: string, ids: readonly number[]): void {
    if (text === '') return;
    this.byText.delete(text);
    this.byText.set(text, ids);
    const [oldest] = this.byText.keys();
    if (this.byText.size > this.most) this.byText.delete(oldest!);
  }

  /** Undefined where no answer of late had this very text. */
  idsOf(text: string): readonly number[] | undefined {
    return this.byText.get(text);
  }

  /** Those that stand in a conversation's ids. */
  within(ids: readonly number[]): OwnAnswer[] {
    return [...this.byText].filter(([, own]) => stands(own, ids)).map(([text, own]) => ({ text, ids: [...own] }));
  }
}

/** Whether `part` is in `whole`, in one piece. */
function stands(part: readonly number[], whole: readonly number[]): boolean {
  for (let at = whole.indexOf(part[0]!); at >= 0; at = whole.indexOf(part[0]!, at + 1)) {
    if (part.every((id, i) => whole[at + i] === id)) return true;
  }
  return false;
}
