import { expect, it } from 'vitest';
import { loadedFrom } from './modelFacts.ts';

const notStored = { kind: 'not-stored', message: 'There is no storage here.' } as const;

const part = { storedBytes: 4.2e6, totalBytes: 9.5e6 };
const all = { storedBytes: 9.5e6, totalBytes: 9.5e6 };

it.each([
  ['kept', { loadedFrom: 'network', notices: [] }, { storedBytes: 9 }, 'the network, and kept for the next visit'],
  ['refused by the storage', { loadedFrom: 'network', notices: [notStored] }, { storedBytes: 9 }, 'not kept'],
  ['not in the storage', { loadedFrom: 'network', notices: [] }, { storedBytes: 0 }, 'not kept'],
  ['of unknown whereabouts', { loadedFrom: 'network', notices: [] }, null, 'not kept'],
  ['a file', { loadedFrom: 'local', notices: [] }, { storedBytes: 0 }, 'read in place'],
] as const)('says of weights that are %s where they came from', (_, info, memory, says) => {
  expect(loadedFrom(info, memory, null)).toContain(says);
});

it.each([
  ['network', part, 'the network; 4.20 MB of 9.50 MB are here, the rest comes while it answers'],
  ['store', part, 'this browser’s storage; 4.20 MB of 9.50 MB are here, the rest comes while it answers'],
  ['network', all, 'the network, and kept for the next visit'],
  ['store', all, 'this browser’s storage'],
] as const)('says what is still to come of a model from the %s', (from, arriving, says) => {
  expect(loadedFrom({ loadedFrom: from, notices: [] }, { storedBytes: 1 }, arriving)).toBe(says);
});
