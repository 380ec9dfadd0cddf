/** Draws what a model says of its experts: the map, its legend, the figures; at most once a frame, and only where it is seen. */
import type { ExpertsReport } from 'floe';
import { byId, el } from './dom.ts';
import { inWords, PagingFigures, PLACE_NAMES, PLACES, type Place, placeCounts } from './expertFigures.ts';
import { drawMap, ExpertHeat, expertAt, type MapColours, type MapLayout } from './expertMap.ts';

type Kind = Place | 'lit';
/** From near to far, as a reader looks for them. */
const LEGEND: readonly Kind[] = ['resident', 'cached', 'stored', 'absent', 'lit'];

interface LegendEntry {
  readonly swatch: HTMLElement;
  readonly count: HTMLElement;
}

export class ExpertsView {
  readonly #canvas = byId('expert-map', HTMLCanvasElement);
  readonly #legend: Readonly<Record<Kind, LegendEntry>>;
  readonly #heat = new ExpertHeat();
  #figures: PagingFigures | null = null;
  #report: ExpertsReport | null = null;
  #layout: MapLayout | null = null;
  #frame = 0;

  constructor() {
    this.#legend = makeLegend();
    new ResizeObserver(() => this.drawSoon()).observe(this.#canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.drawSoon());
    new MutationObserver(() => this.drawSoon()).observe(document.documentElement, { attributeFilter: ['data-theme'] });
    this.#canvas.addEventListener('pointermove', ({ offsetX, offsetY }) => this.#nameExpert(offsetX, offsetY));
  }

  /** Takes a report; true where an expert is elsewhere than in the one before. */
  show(report: ExpertsReport, isFirst: boolean): boolean {
    const before = isFirst ? null : this.#report;
    this.#report = report;
    if (isFirst || !this.#figures) {
      this.#figures = new PagingFigures(report);
      this.#heat.begin(report);
    } else {
      this.#figures.add(report);
      this.#heat.add(report);
    }
    this.drawSoon();
    return before === null || report.places.some((place, key) => place !== before.places[key]);
  }

  answerBegins(): void {
    this.#figures?.answerBegins();
  }

  /** Frames don't come while the page is in the background, so that nothing is drawn there. */
  drawSoon(): void {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#frame = 0;
    const [report, figures] = [this.#report, this.#figures];
    // Folded or hidden it waits until it is opened.
    if (!report || !figures || !this.#canvas.checkVisibility()) return;
    this.#layout = drawMap(this.#canvas, report, this.#heat.light, this.#colours());
    const places = placeCounts(report);
    for (const place of PLACES) this.#legend[place].count.textContent = places[place].toLocaleString('en');
    const words = inWords(figures.figures, report);
    for (const [id, text] of Object.entries(words)) byId(`figure-${id}`, HTMLElement).textContent = text;
    this.#canvas.ariaLabel = asText(report, places, words);
  }

  /** As the legend has them, so that map and legend can't disagree. */
  #colours(): MapColours {
    const style = (kind: Kind): CSSStyleDeclaration => getComputedStyle(this.#legend[kind].swatch);
    return {
      resident: style('resident').backgroundColor,
      cached: style('cached').backgroundColor,
      stored: style('stored').backgroundColor,
      absent: style('absent').borderTopColor,
      lit: style('lit').backgroundColor,
      ember: style('lit').borderRightColor,
    };
  }

  #nameExpert(x: number, y: number): void {
    if (!this.#report || !this.#layout) return;
    const { nExperts, places } = this.#report;
    const found = expertAt(this.#layout, this.#report, x, y);
    const place = found && PLACES[places[found.layer * nExperts + found.expert]!]!;
    this.#canvas.title = place ? `Layer ${found.layer}, expert ${found.expert}: ${PLACE_NAMES[place]}` : '';
  }
}

function makeLegend(): Record<Kind, LegendEntry> {
  const make = (kind: Kind): LegendEntry & { readonly item: HTMLElement } => {
    const swatch = el('i', { class: `swatch ${kind}` });
    const count = el('b', { testid: `places-${kind}` });
    return { swatch, count, item: el('li', {}, swatch, kind === 'lit' ? 'just used' : PLACE_NAMES[kind], count) };
  };
  const entries = {
    resident: make('resident'),
    cached: make('cached'),
    stored: make('stored'),
    absent: make('absent'),
    lit: make('lit'),
  };
  byId('expert-legend', HTMLElement).replaceChildren(...LEGEND.map((kind) => entries[kind].item));
  return entries;
}

/** What the map shows, for those who don't see it. */
function asText(
  { nLayers, places }: ExpertsReport,
  counts: Readonly<Record<Place, number>>,
  words: ReturnType<typeof inWords>,
): string {
  const where = [...PLACES].reverse().map((place) => `${counts[place].toLocaleString('en')} ${PLACE_NAMES[place]}`);
  return (
    `${places.length.toLocaleString('en')} experts in ${nLayers} layers: ${where.join(', ')}. ` +
    `Hit rate ${words.hitRate}, ${words.misses} missed, ${words.moved} experts moved.`
  );
}
