/** What paging must reach. */
import { mean, median } from './pagingCosts.ts';
import type { Identity } from './pagingIdentity.ts';
import type { PagedPath } from './pagingResident.ts';
import type { MeasuredVariant, VariantName } from './pagingRows.ts';
import { atLeast, type Check } from './report.ts';

/** A schedule's row and the baseline's of the same case. */
interface Pair {
  readonly c: MeasuredVariant;
  /** How many times faster than A, and how many the closed form says. */
  readonly speedUp: number;
  readonly predictedSpeedUp: number;
  /** The way to the host, in layers' times. */
  readonly waitLayers: number;
}

/** What running ahead is to be worth where the way to the host takes half a layer's time and more. */
const HALF_SPEED_UP = 1.3;

export function checksOf(
  identities: readonly Identity[],
  resident: readonly PagedPath[],
  measured: readonly MeasuredVariant[],
): Check[] {
  const own = measured.filter(({ declaredMs }) => declaredMs === 0);
  const declared = measured.filter(({ declaredMs }) => declaredMs > 0);
  return [
    atLeast('identity: share of cases with the same bits', mean(identities.map(({ isSame }) => Number(isSame))), 1),
    atLeast('all resident: the paged path by the other, speed', least(resident.map(({ ratio }) => ratio)), 0.95),
    atLeast('blocking waits with no miss, below 1 by', 1 - most(resident.map((one) => one.blockingWaits)), 0),
    ...speedUps(own, 'own read-back'),
    ...speedUps(declared, 'declared read-back'),
    ...predictions(own, 'own read-back'),
    ...predictions(declared, 'declared read-back'),
    atLeast('blocking waits below 1 + faulted layers by, runs ahead, least row', spareWaits(measured), 0),
  ];
}

function speedUps(rows: readonly MeasuredVariant[], what: string): Check[] {
  const pairs = pairsOf(rows, 'C');
  if (pairs.length === 0) return [];
  const replayed = pairs.filter(({ c }) => c.routing.startsWith('replayed'));
  const half = replayed.filter(({ waitLayers }) => waitLayers >= 0.5);
  // Where nearly each layer misses, each is waited for, ahead or not: there it is guesses that make the difference.
  const beyondC = half.filter(({ predictedSpeedUp }) => predictedSpeedUp < HALF_SPEED_UP);
  const byC = half.filter((pair) => !beyondC.includes(pair));
  const four = replayed.filter(
    ({ c, waitLayers }) => waitLayers >= 4 && (/hot/.test(c.routing) || (/mid/.test(c.routing) && c.share >= 0.25)),
  );
  const guessing = (some: readonly Pair[]) =>
    pairsOf(rows, 'CP').filter(({ c }) =>
      some.some((pair) => pair.c.routing === c.routing && pair.c.share === c.share),
    );
  const speedUp = (some: readonly Pair[]) => least(some.map((pair) => pair.speedUp));
  return [
    atLeast(`C by A, speed, least row: ${what}`, speedUp(pairs), 0.97),
    ...(byC.length > 0
      ? [atLeast(`C by A where L ≥ c/2, least row of ${byC.length}: ${what}`, speedUp(byC), HALF_SPEED_UP)]
      : []),
    ...(beyondC.length > 0
      ? [
          atLeast(
            `CP by A where L ≥ c/2 and the closed form gives C less than ${HALF_SPEED_UP}, least row of ${beyondC.length}: ${what}`,
            speedUp(guessing(beyondC)),
            HALF_SPEED_UP,
          ),
        ]
      : []),
    ...(four.length > 0
      ? [
          atLeast(`C by A where L ≥ 4c, mid ≥ 25% and hot, least row of ${four.length}: ${what}`, speedUp(four), 2),
          atLeast(`the same with guesses: ${what}`, speedUp(guessing(four)), 2),
        ]
      : []),
  ];
}

/** What runs, by what the closed form says it could: the median of each row's runs. */
function predictions(rows: readonly MeasuredVariant[], what: string): Check[] {
  return (['all-resident', 'A', 'B', 'C', 'CP'] satisfies VariantName[]).flatMap((variant) => {
    const of = rows.filter((row) => row.variant === variant).map(({ byPrediction }) => byPrediction);
    return of.length === 0 ? [] : [atLeast(`${variant} by its prediction, speed, least row: ${what}`, least(of), 0.9)];
  });
}

function pairsOf(rows: readonly MeasuredVariant[], name: VariantName): Pair[] {
  return rows
    .filter(({ variant }) => variant === name)
    .map((c) => {
      const { denseMs, expertsMs, routerMs, readBackMs } = c.costs;
      const a = rows.find((one) => one.variant === 'A' && one.routing === c.routing && one.share === c.share)!;
      // Of runs beside each other: a machine that others share is slow for seconds at a time.
      const speedUp = median(c.runsMs.map((ms, run) => a.runsMs[run]! / ms));
      const predictedSpeedUp = a.predictedMs / c.predictedMs;
      return { c, speedUp, predictedSpeedUp, waitLayers: readBackMs / (denseMs + expertsMs + routerMs) };
    });
}

/** Where nothing runs ahead, attention hides the way to the host, and each layer is waited for. */
function spareWaits(rows: readonly MeasuredVariant[]): number {
  const ahead = rows.filter(
    ({ variant, runAhead }) => (variant === 'B' || variant === 'C' || variant === 'CP') && runAhead > 0,
  );
  return (
    Math.round(1e6 * least(ahead.map(({ faultedLayers, blockingWaits }) => 1 + faultedLayers - blockingWaits))) / 1e6
  );
}

function least(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : Math.min(...values);
}

function most(values: readonly number[]): number {
  return Math.max(...values);
}
