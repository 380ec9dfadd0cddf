import { createInterface } from 'node:readline';
import type { Lines, Terminal } from './command.ts';

/** The process's own streams. */
export function processTerminal(): Terminal {
  // `floe tokenize … | head` closes the pipe early: that is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    errIsTerminal: process.stderr.isTTY === true,
    readInput: async () => {
      const pieces: Buffer[] = [];
      for await (const piece of process.stdin) pieces.push(piece as Buffer);
      return Buffer.concat(pieces);
    },
    openLines,
  };
}

/** Lines that come while nobody waits are kept, so that a conversation can be piped in. */
function openLines(onInterrupt: () => void): Lines {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const kept: string[] = [];
  let waiting: ((line: string | null) => void) | null = null;
  let ended = false;
  reader.on('SIGINT', onInterrupt);
  reader.on('line', (line) => {
    if (waiting) waiting(line);
    else kept.push(line);
  });
  reader.on('close', () => {
    ended = true;
    waiting?.(null);
  });
  return {
    next: (prompt) => {
      const line = kept.shift();
      if (line !== undefined) return Promise.resolve(line);
      if (ended) return Promise.resolve(null);
      if (process.stdin.isTTY) {
        reader.setPrompt(prompt);
        reader.prompt();
      }
      return new Promise((resolve) => {
        waiting = (next) => {
          waiting = null;
          resolve(next);
        };
      });
    },
    close: () => reader.close(),
  };
}
