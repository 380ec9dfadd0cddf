import type { Device } from '../gpu/index.ts';
import {
  type Activations,
  type PlacedModel,
  ropeAngles,
  ropeTablesOf,
  type TokenPlace,
  writePlaces,
} from '../model/index.ts';

/** Tells steps, prompts and texts where their tokens are. */
export class Places {
  /** How places become angles: tests have conversations that are far along begin there. */
  anglesOf = ropeAngles;
  private readonly ropeTables: ReturnType<typeof ropeTablesOf>;

  constructor(
    private readonly device: Device,
    model: PlacedModel,
    private readonly window: number,
  ) {
    this.ropeTables = ropeTablesOf(model, window);
  }

  write(s: Pick<Activations, 'places' | 'angles'>, tokens: readonly TokenPlace[]): void {
    writePlaces(this.device, s, this.ropeTables, this.window, tokens, this.anglesOf);
  }
}
