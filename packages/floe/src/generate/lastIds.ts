import type { Device } from '../gpu/index.ts';
import { KV_ROWS } from '../kv/index.ts';

/**
 * Where each conversation's last id is: the input of its next step, which need not have reached the host by then. A step
 * leaves the ids it picked where it read its own; they are moved when other conversations share the next one.
 */
export class LastIds {
  /** [KV_ROWS] by the conversation's row of the block table. */
  private readonly kept: GPUBuffer;
  /** Whose id each place of `tokens` holds. */
  private seats: (number | null)[] = [];

  constructor(
    private readonly device: Device,
    /** [STEP_ROWS] what steps read and write. */
    private readonly tokens: GPUBuffer,
  ) {
    this.kept = device.buffers.storage('activations', 'last ids', KV_ROWS * 4);
  }

  /** Puts these conversations' ids where the next step reads them, in this order. */
  seat(rows: readonly number[]): void {
    if (rows.every((row, i) => this.seats[i] === row)) return;
    const { tokens, kept } = this;
    const encoder = this.device.gpu.createCommandEncoder();
    for (const [i, row] of this.seats.entries())
      if (row !== null) encoder.copyBufferToBuffer(tokens, i * 4, kept, row * 4, 4);
    for (const [i, row] of rows.entries()) encoder.copyBufferToBuffer(kept, row * 4, tokens, i * 4, 4);
    this.device.submit(encoder.finish());
    this.seats = [...rows];
  }

  /** A prompt has picked the id of conversation `row`: the first of `ids`. */
  take(ids: GPUBuffer, row: number): void {
    this.forget(row);
    const encoder = this.device.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(ids, 0, this.kept, row * 4, 4);
    this.device.submit(encoder.finish());
  }

  /** The host says which id it is. */
  give(id: number, row: number): void {
    this.forget(row);
    this.device.write(this.kept, row * 4, new Uint8Array(Uint32Array.of(id).buffer));
  }

  destroy(): void {
    this.device.buffers.destroy(this.kept);
  }

  private forget(row: number): void {
    this.seats = this.seats.map((seated) => (seated === row ? null : seated));
  }
}
