import type { AnswerPiece, AnswerText } from './answerPiece.ts';
import type { StreamingDetokenizer } from './detokenizer.ts';

export type ChannelMarkers = Readonly<Record<'start' | 'channel' | 'message' | 'end', number>>;

type Channel = 'header' | 'text' | 'reasoning';

/**
 * gpt-oss answers in several messages, each behind a header: `<|channel|>analysis<|message|>…<|end|>`, then
 * `<|start|>assistant<|channel|>final<|message|>…`. What is in the channel 'analysis' is reasoning, all other channels are the
 * answer's text. The header of a message to a tool (`to=functions.weather`) is written before it: it is the call's name.
 */
export class ChannelText implements AnswerText {
  #channel: Channel = 'header';
  #header = '';
  /** Whether the header says which channel it is of: one that never does was text. */
  #isNamed = false;
  readonly #begun = new Set<Channel>();

  constructor(
    private readonly stream: StreamingDetokenizer,
    private readonly markers: ChannelMarkers,
  ) {}

  push(id: number): AnswerPiece {
    const { start, channel, message, end } = this.markers;
    switch (id) {
      case start:
      case end: {
        const rest = this.flush();
        [this.#channel, this.#header, this.#isNamed] = ['header', '', false];
        return rest;
      }
      case channel:
        this.#isNamed = true;
        this.#header += ' ';
        return NOTHING;
      case message:
        return this.#channel === 'header' ? this.#begin() : NOTHING;
      default:
        return this.#put(this.stream.push(id));
    }
  }

  flush(): AnswerPiece {
    const rest = this.#put(this.stream.flush());
    if (this.#channel !== 'header' || this.#isNamed || this.#begun.size > 0) return rest;
    const text = this.#header;
    this.#header = '';
    return { text, reasoning: '' };
  }

  #begin(): AnswerPiece {
    const header = (this.#header + this.stream.flush()).trim();
    const isCall = /(^|\s)to=/.test(header);
    this.#channel = !isCall && /(^|\s)analysis(\s|$)/.test(header) ? 'reasoning' : 'text';
    const between = this.#begun.has(this.#channel) ? '\n' : '';
    this.#begun.add(this.#channel);
    return this.#put(isCall ? `${between}${header}\n` : between);
  }

  #put(text: string): AnswerPiece {
    if (this.#channel === 'header') this.#header += text;
    if (text === '' || this.#channel === 'header') return NOTHING;
    return { ...NOTHING, [this.#channel]: text };
  }
}

const NOTHING: AnswerPiece = { text: '', reasoning: '' };
