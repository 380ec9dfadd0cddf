/**
 * Traces as BigMoeOnEdge writes them (`route_trace v1`): comments `# model=… n_layer=…` and `# layer=… expert_bytes=…`,
 * a line of column names, then a line for each routed (turn, phase, step, layer, slot), where slot is the rank. Lines of
 * a prompt come layer by layer, so a token's are not together.
 */
import { checkTrace, damaged, emptyTrace, NOT_ROUTED, type Trace, type TraceShape } from './trace.ts';

const COLUMNS = ['turn', 'phase', 'step', 'layer', 'slot', 'expert', 'weight'] as const;
type Line = Readonly<Record<(typeof COLUMNS)[number], number>>;

/**
 * Reads a whole file. A token is a (turn, step); one without a line in some layer was not routed there.
 *
 * @throws {RequestError} `request/invalid`: a comment, column or number is missing or can't be; the message names the line.
 */
export function readTraceCsv(text: string): Trace {
  const lines = text.split('\n');
  const shape = readShape(lines.filter((line) => line.startsWith('#')));
  const rows = readLines(lines);
  const steps = [...new Map(rows.map((row) => [row.turn * 2 ** 32 + row.step, row])).entries()].sort(
    ([a], [b]) => a - b,
  );
  const tokens = new Map(steps.map(([key], token) => [key, token]));
  const trace = emptyTrace(shape, tokens.size);
  for (const [token, [, { phase }]] of steps.entries()) trace.phases[token] = phase;
  for (const row of rows) {
    const token = tokens.get(row.turn * 2 ** 32 + row.step)!;
    if (row.layer >= shape.nLayers || row.slot >= shape.nExpertsUsed) {
      throw damaged(`Layer ${row.layer}, rank ${row.slot} is outside the model.`, { token, layer: row.layer });
    }
    const at = (token * shape.nLayers + row.layer) * shape.nExpertsUsed + row.slot;
    if (trace.ids[at] !== NOT_ROUTED || row.phase !== trace.phases[token]) {
      throw damaged(`Token ${token}, layer ${row.layer}, rank ${row.slot} stands in it twice.`, {
        token,
        layer: row.layer,
      });
    }
    trace.ids[at] = row.expert;
    trace.weights[at] = row.weight;
  }
  return checkTrace(trace);
}

function readShape(comments: readonly string[]): TraceShape {
  const header = comments.find((line) => line.includes('n_layer='));
  const number = (line: string | undefined, name: string): number => {
    const value = Number(new RegExp(`\\b${name}=(\\d+)\\b`).exec(line ?? '')?.[1] ?? Number.NaN);
    if (!(value >= 0)) throw damaged(`No comment says ${name}.`, { name });
    return value;
  };
  const nLayers = number(header, 'n_layer');
  const slotBytes = Array.from({ length: nLayers }, (_, layer) =>
    number(
      comments.find((line) => line.startsWith(`# layer=${layer} `)),
      'expert_bytes',
    ),
  );
  const path = /\bmodel=(\S+)/.exec(header ?? '')?.[1] ?? 'unknown';
  return {
    // The name without the folders of the machine it ran on.
    model: path.slice(path.lastIndexOf('/') + 1),
    nLayers,
    nExperts: number(header, 'n_expert'),
    nExpertsUsed: number(header, 'n_expert_used'),
    slotBytes,
  };
}

function readLines(lines: readonly string[]): Line[] {
  const first = lines.findIndex((line) => !line.startsWith('#'));
  const names = lines[first]?.split(',') ?? [];
  const places = COLUMNS.map((name) => names.indexOf(name));
  if (places.includes(-1)) throw damaged(`Line ${first + 1} does not name the columns ${COLUMNS.join(', ')}.`, {});
  const rows: Line[] = [];
  for (let i = first + 1; i < lines.length; i++) {
    if (lines[i] === '') continue;
    const cells = lines[i]!.split(',');
    const values = places.map((place) => (cells[place] ? Number(cells[place]) : Number.NaN));
    // All but the weight are whole numbers; ids fit the sixteen bits they are kept in.
    const isWhole = values.slice(0, -1).every((value) => Number.isInteger(value) && value >= 0 && value < NOT_ROUTED);
    if (!isWhole || !Number.isFinite(values.at(-1))) {
      throw damaged(`Line ${i + 1} is not of numbers that can be.`, { line: i + 1 });
    }
    const [turn, phase, step, layer, slot, expert, weight] = values as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    rows.push({ turn, phase, step, layer, slot, expert, weight });
  }
  return rows;
}
