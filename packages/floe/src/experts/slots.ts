import { ExpertsError } from '../errors/index.ts';
import { type Device, roundUp, whole } from '../gpu/index.ts';
import { ABSENT, type ExpertPool } from '../kernels/index.ts';

/**
 * Where experts lie on the GPU: equal slots in a few buffers, and the page table [nLayers, nExperts] that says which
 * slot holds which. Kernels reach an expert through the table only, so a slot may hold any expert of any layer.
 */
export class ExpertSlots {
  readonly pools: readonly ExpertPool[];
  readonly pageTable: GPUBuffer;
  private readonly table: Uint32Array;

  constructor(
    private readonly device: Device,
    private readonly size: { nLayers: number; nExperts: number },
    readonly slotBytes: number,
    nSlots: number,
    /** Bytes of one buffer at the most; default: what one dispatch can bind. */
    poolBytes = Math.min(device.gpu.limits.maxStorageBufferBindingSize, device.gpu.limits.maxBufferSize),
  ) {
    const slotsPerPool = Math.floor(poolBytes / slotBytes);
    if (slotsPerPool === 0) throw tooLarge(slotBytes, poolBytes);
    const nPools = Math.ceil(nSlots / slotsPerPool);
    this.pools = Array.from({ length: nPools }, (_, i) => {
      const firstSlot = i * slotsPerPool;
      const n = Math.min(slotsPerPool, nSlots - firstSlot);
      const buffer = device.buffers.storage('experts', `experts.${i}`, n * slotBytes);
      return { view: whole(buffer), firstSlot, nSlots: n };
    });
    this.table = new Uint32Array(size.nLayers * size.nExperts).fill(ABSENT);
    this.pageTable = device.buffers.storage('experts', 'pageTable', roundUp(this.table.byteLength, 16));
    this.writeTable();
  }

  /** Writes an expert's record into a slot; the page table names it only after its bytes. */
  load(layer: number, expert: number, slot: number, record: Uint8Array): void {
    const pool = this.pools.find(({ firstSlot, nSlots }) => slot >= firstSlot && slot < firstSlot + nSlots)!;
    this.device.write(pool.view.buffer, (slot - pool.firstSlot) * this.slotBytes, record);
    const entry = layer * this.size.nExperts + expert;
    this.table[entry] = slot;
    this.device.write(this.pageTable, entry * 4, new Uint8Array(this.table.buffer, entry * 4, 4));
  }

  private writeTable(): void {
    this.device.write(this.pageTable, 0, new Uint8Array(this.table.buffer));
  }
}

function tooLarge(slotBytes: number, poolBytes: number): ExpertsError {
  return new ExpertsError(
    'experts/budget-too-small',
    `One expert is ${slotBytes} bytes; this device can bind ${poolBytes} at once.`,
    { remedy: 'Take a smaller quantization, or a device with larger bindings.', details: { slotBytes, poolBytes } },
  );
}
