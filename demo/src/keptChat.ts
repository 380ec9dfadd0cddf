/** The last chat, as the page keeps it for the next visit; what the model computed of it the library saves. */

/** Under which the library saves the last answer. */
export const SAVED_AS = 'demo chat';

/** A question and its answer, '' while that is not over. */
export interface Turn {
  readonly question: string;
  answer: string;
  /** What the names of a statement are held against. */
  readonly schema: string | null;
}

const KEY = 'floe-chat';

// Storage may be forbidden, full, or hold what another version of the page wrote; the page then starts without a chat.
export function keptTurns(model: string): Turn[] {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null') as { model: string; turns: Turn[] } | null;
    return kept?.model === model ? kept.turns.filter(isTurn) : [];
  } catch {
    return [];
  }
}

export function keepTurns(model: string, turns: readonly Turn[]): void {
  try {
    if (turns.length === 0) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, JSON.stringify({ model, turns }));
  } catch {
    // Forgotten with the page.
  }
}

function isTurn({ question, answer, schema }: Partial<Turn>): boolean {
  return typeof question === 'string' && typeof answer === 'string' && (schema === null || typeof schema === 'string');
}
