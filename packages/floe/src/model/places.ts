import type { Device } from '../gpu/index.ts';
import type { Activations } from './activations.ts';
import { type RopeFrequencies, ropeAngles } from './rope.ts';

/** Where a token of a step is: its position in its conversation, and that one's row of the cache's block table. */
export interface TokenPlace {
  readonly position: number;
  readonly row: number;
}

/**
 * Tells the next step where its tokens are, and how their queries and keys turn: by their positions, and for the sinks as
 * if a token stood where the window ends, however far it is (Xiao et al. 2024: positions are those within the cache).
 */
export function writePlaces(
  device: Device,
  s: Pick<Activations, 'places' | 'angles'> & Partial<Pick<Activations, 'positions'>>,
  ropeTables: readonly RopeFrequencies[],
  window: number,
  tokens: readonly TokenPlace[],
  anglesOf = ropeAngles,
): void {
  const write = (buffer: GPUBuffer, values: Uint32Array | Float32Array) =>
    device.write(buffer, 0, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  write(s.places.buffer, Uint32Array.from(tokens.flatMap(({ position, row }) => [position, row])));
  if (s.positions)
    write(
      s.positions.buffer,
      Uint32Array.from(tokens, ({ position }) => position),
    );
  const seen = tokens.flatMap(({ position }) => [position, Math.min(position, window - 1)]);
  for (const [i, table] of ropeTables.entries()) write(s.angles[i]!.buffer, anglesOf(table, seen));
}
