/** What a command is, and all that it may touch. */
import type { Runtime } from './runtime.ts';

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `floe help COMMAND` prints. */
  readonly usage: string;
  readonly run: (args: readonly string[], context: Context) => Promise<void>;
}

export interface Context {
  readonly runtime: Runtime;
  readonly terminal: Terminal;
  /** Fires at Ctrl-C. */
  readonly signal: AbortSignal;
}

/** The process's streams, as far as the commands use them. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether a person watches standard error: progress is drawn for them only. */
  readonly errIsTerminal: boolean;
  /** Standard input to its end. */
  readonly readInput: () => Promise<Uint8Array>;
  /** Standard input by line; null at its end. `onInterrupt` is called for a Ctrl-C that the terminal keeps as a key. */
  readonly openLines: (onInterrupt: () => void) => Lines;
}

export interface Lines {
  readonly next: (prompt: string) => Promise<string | null>;
  readonly close: () => void;
}
