/** An answer's ids as parts of text, up to where a stop string ends it. */
import { answerText, type Tokenizer } from '../text/index.ts';
import { StopMatcher } from './stop.ts';

/** Reasoning comes apart where the model keeps it apart. */
export type TextPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string };

/** What of a request decides how ids become text. */
interface AnswerShape {
  readonly continues: boolean;
  readonly prompt: readonly number[];
  readonly stops: readonly string[];
}

export class AnswerParts {
  /** A stop string has come: nothing behind it is part of the answer. */
  stopped = false;
  private readonly text: ReturnType<typeof answerText>;
  private readonly stop: StopMatcher;

  constructor(tokenizer: Tokenizer, { continues, prompt, stops }: AnswerShape) {
    this.text = answerText(tokenizer, { continues, prompt });
    this.stop = new StopMatcher(stops);
  }

  /** What one more id adds. */
  *push(id: number): Generator<TextPart> {
    const { text, reasoning } = this.text.push(id);
    yield* partOf('reasoning', reasoning);
    const piece = this.stop.push(text);
    this.stopped = piece.stopped;
    yield* partOf('text', piece.text);
  }

  /** What was held back for what might have come. */
  *end(): Generator<TextPart> {
    const { text, reasoning } = this.text.flush();
    yield* partOf('reasoning', reasoning);
    const piece = this.stop.push(text);
    this.stopped = piece.stopped;
    yield* partOf('text', piece.stopped ? piece.text : piece.text + this.stop.flush());
  }
}

function* partOf(kind: TextPart['kind'], text: string): Generator<TextPart> {
  if (text !== '') yield { kind, text };
}
