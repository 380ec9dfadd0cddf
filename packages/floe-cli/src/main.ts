import * as runtime from 'floe/node';
import { floe } from './floe.ts';
import { processTerminal } from './terminal.ts';

const interrupt = new AbortController();
process.on('SIGINT', () => {
  // The first asks the command to stop; whoever presses again does not want to wait for that.
  if (interrupt.signal.aborted) process.exit(130);
  interrupt.abort();
});

const context = { runtime, terminal: processTerminal(), signal: interrupt.signal };
const status = await floe(process.argv.slice(2), context);
// A GPU device may keep the process alive; what was written has to leave it first.
process.stdout.write('', () => process.exit(status));
