import { expect, it } from 'vitest';
import { loadedFrom } from './modelFacts.ts';

const notStored = { kind: 'not-stored', message: 'There is no storage here.' } as const;

it.each([
  ['kept', { loadedFrom: 'network', notices: [] }, { storedBytes: 9 }, 'the network, and kept for the next visit'],
  ['refused by the storage', { loadedFrom: 'network', notices: [notStored] }, { storedBytes: 9 }, 'not kept'],
  ['not in the storage', { loadedFrom: 'network', notices: [] }, { storedBytes: 0 }, 'not kept'],
  ['of unknown whereabouts', { loadedFrom: 'network', notices: [] }, null, 'not kept'],
  ['a file', { loadedFrom: 'local', notices: [] }, { storedBytes: 0 }, 'read in place'],
] as const)('says of weights that are %s where they came from', (_, info, memory, says) => {
  expect(loadedFrom(info, memory)).toContain(says);
});
