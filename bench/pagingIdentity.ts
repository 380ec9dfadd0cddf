/** Where experts lie, and when they come, changes no bit: tokens and logits of every budget and schedule beside those of all resident. */
import type { Device } from '../packages/floe/src/gpu/index.ts';
import { type ModelFile, type PlaceChoice, place, unplace } from './pagingModel.ts';
import { Stepper, type StepperOptions } from './pagingStepper.ts';
import type { Row } from './report.ts';

export interface Identity {
  readonly row: Row;
  readonly isSame: boolean;
}

const N_TOKENS = 12;
/** Where each conversation begins. */
const FIRST_ID = 300;

const CASES: readonly (PlaceChoice & StepperOptions & { readonly name: string })[] = [
  { name: '50%, chosen by what is measured', share: 0.5 },
  { name: '50%, nothing in memory', share: 0.5, memoryShare: 0 },
  { name: '25%, routes first', share: 0.25, schedule: { runAhead: 0 } },
  {
    name: '25%, a quarter in memory, layer by layer',
    share: 0.25,
    memoryShare: 0.25,
    schedule: { runAhead: 0, group: 1, overlap: false },
  },
  { name: '25%, two layers ahead, in groups of two', share: 0.25, schedule: { runAhead: 2, group: 2 } },
  { name: '25%, the whole token at once', share: 0.25, schedule: { runAhead: 1024, group: 1024 } },
  { name: '25%, with guesses', share: 0.25, guessAhead: 1 },
  { name: 'the fewest slots, a quarter in memory', share: 'min', memoryShare: 0.25 },
  { name: 'the fewest slots, nothing in memory', share: 'min', memoryShare: 0 },
];

export async function identity(device: Device, file: ModelFile): Promise<Identity[]> {
  const expected = await decode(device, file, { share: 1 });
  const results: Identity[] = [];
  for (const { name, ...choice } of CASES) {
    const found = await decode(device, file, choice);
    const nSame = expected.logits.filter((logits, i) => isEqual(logits, found.logits[i]!)).length;
    const { hits, misses, evictions } = found;
    const { nLayers, nExpertsUsed } = file.plan.shape;
    const isPaged = misses > 0 && evictions > 0 && hits + misses === N_TOKENS * nLayers * nExpertsUsed;
    const isSame = nSame === N_TOKENS && found.ids.join() === expected.ids.join() && isPaged;
    const bench = `identity with all resident: ${file.name}, logits and greedy ids of ${N_TOKENS} tokens`;
    results.push({
      isSame,
      row: {
        bench,
        name,
        sameLogits: nSame,
        sameIds: Number(found.ids.join() === expected.ids.join()),
        hits,
        misses,
        evictions,
      },
    });
  }
  return results;
}

async function decode(device: Device, file: ModelFile, choice: PlaceChoice & StepperOptions) {
  const model = await place(device, file, choice);
  const stepper = await Stepper.make(device, model, choice);
  const ids: number[] = [];
  const logits: Uint32Array[] = [];
  for (let i = 0; i < N_TOKENS; i++) {
    ids.push(
      await stepper.step(choice.share === 1 ? 'whole' : 'paged', i === 0 ? { id: FIRST_ID % file.plan.nVocab } : {}),
    );
    logits.push(await stepper.logits());
  }
  const { hits, misses, evictions } = model.experts!.counts;
  await stepper.destroy();
  unplace(device, model);
  return { ids, logits, hits, misses, evictions };
}

function isEqual(a: Uint32Array, b: Uint32Array): boolean {
  return a.every((bits, i) => bits === b[i]);
}
