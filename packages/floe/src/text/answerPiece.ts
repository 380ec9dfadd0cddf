/** Text of an answer that is certain now, and of the reasoning before it. */
export interface AnswerPiece {
  readonly text: string;
  readonly reasoning: string;
}

/** Ids of an answer to its text, one at a time. */
export interface AnswerText {
  push(id: number): AnswerPiece;
  /** What is left at the end. */
  flush(): AnswerPiece;
}
