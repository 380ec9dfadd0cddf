/** What paging cost, in numbers: from the reports of a model since it was loaded. */
import type { ExpertsReport } from 'floe';
import { bytes, digits, duration } from './format.ts';

export type Place = 'absent' | 'stored' | 'cached' | 'resident';

/** In the order of a report's indices, as the library's `EXPERT_PLACES` has them. */
export const PLACES: readonly Place[] = ['absent', 'stored', 'cached', 'resident'];

export const PLACE_NAMES: Readonly<Record<Place, string>> = {
  resident: 'on the GPU',
  cached: 'in memory',
  stored: 'in storage',
  absent: 'not here yet',
};

/** How many experts are at each place. */
export function placeCounts({ places }: Pick<ExpertsReport, 'places'>): Record<Place, number> {
  const counts = { absent: 0, stored: 0, cached: 0, resident: 0 };
  for (const place of places) counts[PLACES[place]!]++;
  return counts;
}

/** Numbers since the load; null where nothing was counted yet. */
export interface Figures {
  /** 0 to 1. */
  readonly hitRate: number | null;
  readonly misses: number;
  readonly moved: number;
  readonly movedBytes: number;
  /** While tokens are written; what a prompt waits for is no token's. */
  readonly stallMsPerToken: number | null;
  readonly waitsPerToken: number | null;
  /** Of the experts that a token missed, those that a guess had named: 0 to 1. */
  readonly foreseen: number | null;
  /** Loaded before they were wanted; and of them those that were. */
  readonly guesses: number;
  readonly guessesUsed: number | null;
  readonly nTokens: number;
}

interface DecodeStall {
  readonly stallMs: number;
  readonly nTokens: number;
}

/** What is counted as a number. */
type Count = Exclude<keyof ExpertsReport['counts'], 'layers'>;

/** Turns reports into figures. */
export class PagingFigures {
  readonly #atLoad: ExpertsReport['counts'];
  #now: ExpertsReport['counts'];
  /** Of answers that ended; and the first report of the one that goes on. */
  #ended: DecodeStall = { stallMs: 0, nTokens: 0 };
  #answerFrom: ExpertsReport['counts'] | null = null;
  #isFirstOfAnswer = false;

  /** `first`: the report right after the load, whose filling of the slots is no move of paging. */
  constructor(first: Pick<ExpertsReport, 'counts'>) {
    this.#atLoad = first.counts;
    this.#now = first.counts;
  }

  /** From here to the next report a prompt is read, which waits for experts on its own account. */
  answerBegins(): void {
    this.#ended = this.#decodeStall();
    this.#answerFrom = null;
    this.#isFirstOfAnswer = true;
  }

  add({ counts }: Pick<ExpertsReport, 'counts'>): void {
    // A report without a new token is one of the answer before.
    if (this.#isFirstOfAnswer && counts.nTokens > this.#now.nTokens) {
      this.#answerFrom = counts;
      this.#isFirstOfAnswer = false;
    }
    this.#now = counts;
  }

  get figures(): Figures {
    const since = (count: Count): number => this.#now[count] - this.#atLoad[count];
    const decode = this.#decodeStall();
    return {
      hitRate: ratio(since('hits'), since('hits') + since('misses')),
      misses: since('misses'),
      moved: since('loads'),
      movedBytes: since('movedBytes'),
      stallMsPerToken: ratio(decode.stallMs, decode.nTokens),
      waitsPerToken: ratio(since('blockingWaits'), since('nTokens')),
      foreseen: ratio(since('foreseenMisses'), since('foreseeableMisses')),
      guesses: since('guesses'),
      guessesUsed: ratio(since('usefulGuesses'), since('guesses')),
      nTokens: since('nTokens'),
    };
  }

  #decodeStall(): DecodeStall {
    const [from, now, ended] = [this.#answerFrom, this.#now, this.#ended];
    if (!from) return ended;
    return {
      stallMs: ended.stallMs + now.stallMs - from.stallMs,
      nTokens: ended.nTokens + now.nTokens - from.nTokens,
    };
  }
}

function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}

type FigureName =
  | 'hitRate'
  | 'misses'
  | 'moved'
  | 'movedBytes'
  | 'stall'
  | 'waits'
  | 'foreseen'
  | 'guesses'
  | 'guessesUsed'
  | 'runAhead'
  | 'nTokens';

/** The figures as the page writes them; a dash where there is none yet. */
export function inWords(
  { hitRate, misses, moved, movedBytes, stallMsPerToken, waitsPerToken, foreseen, nTokens, ...ahead }: Figures,
  { runAhead, nLayers }: Pick<ExpertsReport, 'runAhead' | 'nLayers'>,
): Record<FigureName, string> {
  return {
    hitRate: percent(hitRate),
    misses: misses.toLocaleString('en'),
    moved: moved.toLocaleString('en'),
    movedBytes: movedBytes === 0 ? '0' : bytes(movedBytes),
    stall:
      stallMsPerToken === null
        ? '–'
        : stallMsPerToken < 10
          ? `${short(stallMsPerToken)} ms`
          : duration(stallMsPerToken),
    waits: waitsPerToken === null ? '–' : short(waitsPerToken),
    foreseen: percent(foreseen),
    guesses: ahead.guesses.toLocaleString('en'),
    guessesUsed: percent(ahead.guessesUsed),
    runAhead: runAhead >= nLayers ? `all ${nLayers}` : `${runAhead} of ${nLayers}`,
    nTokens: nTokens.toLocaleString('en'),
  };
}

/** Rounded down: what missed at all does not hit always. */
function percent(share: number | null): string {
  if (share === null) return '–';
  return `${share === 1 ? '100' : (Math.floor(share * 1000) / 10).toFixed(1)}%`;
}

/** 0, 1 or 3 as they are, else three digits. */
function short(value: number): string {
  return Number.isInteger(value) ? String(value) : digits(value);
}
