/** The heat map: a cell for each expert, coloured by where it is, lit while tokens use it. */
import type { ExpertsReport } from 'floe';
import { PLACES, type Place } from './expertFigures.ts';

/** CSS pixels. A cell narrower than this can't be told from its neighbour, so that a layer takes more lines. */
const LEAST_CELL = 4.5;
const MOST_CELL_HEIGHT = 10;
const LEAST_CELL_HEIGHT = 3;
/** Between layers, beside what is between cells. */
const LAYER_GAP = 3;
/** A map of many layers gets flatter cells before it gets higher than this. */
const WANTED_HEIGHT = 420;
/** What a token leaves of the light of the one before: after ten, a tenth. */
const FADE = 0.8;
/** Below this a cell shows its place again. */
const DARK = 0.1;

/** Where cells lie, in CSS pixels: `nLines` lines of `nColumns` for a layer. */
export interface MapLayout {
  readonly nColumns: number;
  readonly nLines: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly layerHeight: number;
  readonly height: number;
}

/** Fits a map to a width: as few lines a layer as leave cells that can be seen. */
export function mapLayout(nLayers: number, nExperts: number, width: number): MapLayout {
  const nLines = Math.max(1, Math.ceil((nExperts * LEAST_CELL) / Math.max(width, LEAST_CELL)));
  const nColumns = Math.ceil(nExperts / nLines);
  const cellWidth = width / nColumns;
  const room = (WANTED_HEIGHT - nLayers * LAYER_GAP) / (nLayers * nLines);
  const cellHeight = Math.floor(Math.max(LEAST_CELL_HEIGHT, Math.min(MOST_CELL_HEIGHT, room)));
  const layerHeight = nLines * cellHeight + LAYER_GAP;
  return { nColumns, nLines, cellWidth, cellHeight, layerHeight, height: nLayers * layerHeight - LAYER_GAP };
}

/** The expert under a point, or null where there is none. */
export function expertAt(
  { nColumns, nLines, cellWidth, cellHeight, layerHeight }: MapLayout,
  { nLayers, nExperts }: Pick<ExpertsReport, 'nLayers' | 'nExperts'>,
  x: number,
  y: number,
): { readonly layer: number; readonly expert: number } | null {
  const layer = Math.floor(y / layerHeight);
  const line = Math.floor((y - layer * layerHeight) / cellHeight);
  const column = Math.floor(x / cellWidth);
  const expert = line * nColumns + column;
  const isCell = layer >= 0 && layer < nLayers && line < nLines && column >= 0 && column < nColumns;
  return isCell && expert < nExperts ? { layer, expert } : null;
}

/** How brightly each expert is lit: 1 for those of the last token, less for those of the tokens before. */
export class ExpertHeat {
  #light = new Float32Array(0);
  #nTokens = 0;

  get light(): Float32Array {
    return this.#light;
  }

  /** A model just loaded has used none. */
  begin({ places, counts }: Pick<ExpertsReport, 'places' | 'counts'>): void {
    this.#light = new Float32Array(places.length);
    this.#nTokens = counts.nTokens;
  }

  add({ lastRouted, nExperts, nExpertsUsed, counts }: ExpertsReport): void {
    const nNew = counts.nTokens - this.#nTokens;
    if (nNew <= 0) return;
    this.#nTokens = counts.nTokens;
    const left = FADE ** nNew;
    this.#light = this.#light.map((light) => (light * left < DARK ? 0 : light * left));
    for (const [i, expert] of lastRouted.entries()) {
      if (expert < nExperts) this.#light[Math.floor(i / nExpertsUsed) * nExperts + expert] = 1;
    }
  }
}

/** `ember`: what a lit cell fades to, so that blue never mixes with the light to a grey that means nothing. */
export type MapColours = Readonly<Record<Place | 'lit' | 'ember', string>>;

/** Draws a report at the canvas's width, in device pixels; the canvas takes the height it needs. */
export function drawMap(
  canvas: HTMLCanvasElement,
  report: ExpertsReport,
  light: Float32Array,
  colours: MapColours,
): MapLayout {
  const { nLayers, nExperts, places } = report;
  const layout = mapLayout(nLayers, nExperts, canvas.clientWidth);
  const scale = devicePixelRatio;
  canvas.style.height = `${layout.height}px`;
  canvas.width = Math.round(canvas.clientWidth * scale);
  canvas.height = Math.round(layout.height * scale);
  const pen = canvas.getContext('2d')!;
  const gap = Math.max(1, Math.round(scale * (layout.cellWidth < 8 ? 1 : 1.5)));
  for (const [key, place] of places.entries()) {
    const box = cellBox(layout, Math.floor(key / nExperts), key % nExperts, scale, gap);
    paintCell(pen, box, PLACES[place]!, light[key] ?? 0, colours);
  }
  return layout;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Whole device pixels, so that no edge is blurred. */
function cellBox(layout: MapLayout, layer: number, expert: number, scale: number, gap: number): Box {
  const { nColumns, cellWidth, cellHeight, layerHeight } = layout;
  const [line, column] = [Math.floor(expert / nColumns), expert % nColumns];
  const x = Math.round(column * cellWidth * scale);
  const y = Math.round((layer * layerHeight + line * cellHeight) * scale);
  const width = Math.round((column + 1) * cellWidth * scale) - x - gap;
  return { x, y, width: Math.max(1, width), height: Math.max(1, Math.round(cellHeight * scale) - gap) };
}

function paintCell(
  pen: CanvasRenderingContext2D,
  { x, y, width, height }: Box,
  place: Place,
  light: number,
  colours: MapColours,
): void {
  if (light > 0) {
    pen.fillStyle = colours.ember;
    pen.fillRect(x, y, width, height);
    pen.globalAlpha = light;
    pen.fillStyle = colours.lit;
    pen.fillRect(x, y, width, height);
    pen.globalAlpha = 1;
  } else if (place === 'absent') {
    // Hollow: there is nothing yet.
    pen.strokeStyle = colours.absent;
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), Math.max(1, height - 1));
  } else {
    pen.fillStyle = colours[place];
    pen.fillRect(x, y, width, height);
  }
}
