import type { AnswerPiece, AnswerText } from './answerPiece.ts';
import type { StreamingDetokenizer } from './detokenizer.ts';

export type ThinkMarkers = Readonly<Record<'open' | 'close', number>>;

/**
 * Qwen 3, DeepSeek-R1 and others begin with `<think>`, or go on behind one that their template wrote, up to `</think>`: that
 * is reasoning, without the white space beside its markers.
 */
export class ThinkText implements AnswerText {
  #channel: 'text' | 'reasoning';
  /** Nothing of the channel was written yet. */
  #isStart = true;
  #wasReasoning = false;
  /** White space in reasoning that more of it may follow. */
  #spaces = '';

  constructor(
    private readonly stream: StreamingDetokenizer,
    private readonly markers: ThinkMarkers,
    isThinking: boolean,
  ) {
    this.#channel = isThinking ? 'reasoning' : 'text';
  }

  push(id: number): AnswerPiece {
    const { open, close } = this.markers;
    if (id === open && this.#channel === 'text' && this.#isStart && !this.#wasReasoning) {
      this.#channel = 'reasoning';
      return { text: '', reasoning: '' };
    }
    if (id !== close || this.#channel === 'text') return this.#put(this.stream.push(id));
    const rest = this.flush();
    [this.#channel, this.#isStart, this.#wasReasoning, this.#spaces] = ['text', true, true, ''];
    return rest;
  }

  flush(): AnswerPiece {
    return this.#put(this.stream.flush());
  }

  #put(pushed: string): AnswerPiece {
    const besideMarker = this.#isStart && (this.#channel === 'reasoning' || this.#wasReasoning);
    const all = besideMarker ? pushed.trimStart() : this.#spaces + pushed;
    const written = this.#channel === 'reasoning' ? all.trimEnd() : all;
    this.#spaces = all.slice(written.length);
    if (written !== '') this.#isStart = false;
    return { text: '', reasoning: '', [this.#channel]: written };
  }
}
