/** The experts' panel without a page: its figures, its slider, and where its map's cells lie. */
import { EXPERT_PLACES, type ExpertsReport } from 'floe';
import { describe, expect, it } from 'vitest';
import { budgetAt, budgetInWords, positionOf, slotsAt } from './expertBudget.ts';
import { ExpertFeed } from './expertFeed.ts';
import { inWords, PagingFigures, PLACES, placeCounts } from './expertFigures.ts';
import { ExpertHeat, expertAt, mapLayout } from './expertMap.ts';

const sizes = { nLayers: 4, nExperts: 128, nExpertsUsed: 2, leastSlots: 3 };
const noCounts = {
  ...{ hits: 0, misses: 0, loads: 0, movedBytes: 0, nTokens: 0, stallMs: 0, blockingWaits: 0 },
  ...{ foreseenMisses: 0, foreseeableMisses: 0, guesses: 0, usefulGuesses: 0 },
};

function report(counts: Partial<typeof noCounts>, rest: Partial<ExpertsReport> = {}): ExpertsReport {
  const places = new Uint8Array(sizes.nLayers * sizes.nExperts);
  return {
    ...sizes,
    places,
    lastRouted: new Uint16Array(8),
    runAhead: 4,
    ...rest,
    counts: { ...noCounts, ...counts },
  } as ExpertsReport;
}

it('names places in the order of the library', () => {
  expect(PLACES).toEqual(EXPERT_PLACES);
});

it('counts experts by place', () => {
  expect(placeCounts({ places: Uint8Array.of(3, 3, 2, 0, 1, 1) })).toEqual({
    resident: 2,
    cached: 1,
    stored: 2,
    absent: 1,
  });
});

describe('figures', () => {
  it('leave out what the load moved, and what a prompt waited for', () => {
    const paging = new PagingFigures(report({ loads: 128, movedBytes: 1280 }));
    paging.answerBegins();
    // The prompt stalled for a second, before the first token.
    paging.add(
      report({ hits: 30, misses: 10, loads: 138, movedBytes: 1380, nTokens: 1, stallMs: 1000, blockingWaits: 2 }),
    );
    const ahead = { foreseenMisses: 12, foreseeableMisses: 16, guesses: 4, usefulGuesses: 1 };
    const paged = { loads: 148, movedBytes: 1480, stallMs: 1040, blockingWaits: 10 };
    paging.add(report({ hits: 60, misses: 20, nTokens: 5, ...paged, ...ahead }));
    const first = {
      hitRate: 0.75,
      misses: 20,
      moved: 20,
      movedBytes: 200,
      stallMsPerToken: 10,
      waitsPerToken: 2,
      foreseen: 0.75,
      guesses: 4,
      guessesUsed: 0.25,
      nTokens: 5,
    };
    expect(paging.figures).toEqual(first);
    // A report of the same token, late, is not the next answer's first.
    paging.answerBegins();
    paging.add(report({ hits: 60, misses: 20, nTokens: 5, stallMs: 1040 }));
    paging.add(report({ hits: 60, misses: 20, nTokens: 6, stallMs: 3000 }));
    paging.add(report({ hits: 60, misses: 20, nTokens: 8, stallMs: 3020 }));
    expect(paging.figures.stallMsPerToken).toBe((40 + 20) / (4 + 2));
  });

  it('are dashes before anything was counted, and numbers after', () => {
    const paging = new PagingFigures(report({ loads: 128 }));
    expect(inWords(paging.figures, report({}))).toMatchObject({
      hitRate: '–',
      stall: '–',
      waits: '–',
      foreseen: '–',
      guesses: '0',
      guessesUsed: '–',
      runAhead: 'all 4',
    });
    const moved = { loads: 1128, movedBytes: 5_000_000 };
    const ahead = { foreseenMisses: 2, foreseeableMisses: 3, guesses: 1500, usefulGuesses: 40 };
    paging.add(report({ hits: 9999, misses: 1, nTokens: 2, blockingWaits: 5, ...moved, ...ahead }));
    expect(inWords(paging.figures, report({}, { runAhead: 1 }))).toMatchObject({
      hitRate: '99.9%',
      moved: '1,000',
      movedBytes: '5.00 MB',
      waits: '2.50',
      foreseen: '66.6%',
      guesses: '1,500',
      guessesUsed: '2.6%',
      runAhead: '1 of 4',
    });
  });
});

describe('the slider', () => {
  it.each([
    [0, 'min', 3, 'the fewest that work: 3 of 512 experts'],
    [25, '25%', 128, '25%: 128 of 512 experts'],
    [100, '100%', 512, 'all 512 experts'],
  ] as const)('at %i asks for %s, which is %i experts', (position, budget, nSlots, words) => {
    expect(budgetAt(position)).toBe(budget);
    expect(slotsAt(position, sizes)).toBe(nSlots);
    expect(budgetInWords(position, sizes)).toBe(words);
    expect(positionOf({ ...sizes, nSlots })).toBe(position);
  });

  it('knows the fewest of a file with experts of two sizes', () => {
    const two = { ...sizes, leastSlots: 6 };
    expect(budgetInWords(0, two)).toBe('the fewest that work: 6 of 512 experts');
    expect(positionOf({ ...two, nSlots: 6 })).toBe(0);
  });
});

describe('the map', () => {
  // Arctic-mini, Arctic, Mixtral; a card's width, and a small phone's.
  it.each([
    [4, 128, 358],
    [35, 128, 358],
    [32, 8, 280],
  ])('has each expert once: %i layers of %i, %i pixels wide', (nLayers, nExperts, width) => {
    const layout = mapLayout(nLayers, nExperts, width);
    const found = new Set<string>();
    for (let y = 0.5; y < layout.height; y++) {
      for (let column = 0; column < layout.nColumns; column++) {
        const at = expertAt(layout, { nLayers, nExperts }, (column + 0.5) * layout.cellWidth, y);
        if (at) found.add(`${at.layer}/${at.expert}`);
      }
    }
    expect(found.size).toBe(nLayers * nExperts);
    expect(layout.cellWidth).toBeGreaterThanOrEqual(4.5);
    expect(expertAt(layout, { nLayers, nExperts }, width + 1, 1)).toBeNull();
    expect(expertAt(layout, { nLayers, nExperts }, 1, layout.height + 4)).toBeNull();
  });

  it('lights what the last token used, and dims it by the tokens that came since', () => {
    const heat = new ExpertHeat();
    heat.begin(report({}));
    heat.add(report({ nTokens: 1 }, { lastRouted: Uint16Array.of(5, 7, 5, 7, 5, 7, 5, 7) }));
    expect(heat.light[5]).toBe(1);
    expect(heat.light[128 + 7]).toBe(1);
    heat.add(report({ nTokens: 3 }, { lastRouted: Uint16Array.of(5, 8, 9, 9, 9, 9, 9, 9) }));
    expect(heat.light[5]).toBe(1);
    expect(heat.light[7]).toBeCloseTo(0.64);
    heat.add(report({ nTokens: 30 }, { lastRouted: new Uint16Array(8) }));
    expect(heat.light[7]).toBe(0);
  });
});

it('drops a report that a later one has overtaken', () => {
  const feed = new ExpertFeed();
  const heard: (number | undefined)[] = [];
  feed.subscribe((heardReport) => heard.push(heardReport?.counts.nTokens));
  feed.begin(report({}));
  feed.add(report({ nTokens: 4 }));
  feed.add(report({ nTokens: 3 }));
  feed.begin(report({}));
  expect(heard).toEqual([0, 4, 0]);
});
