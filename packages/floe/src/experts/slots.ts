import { GpuError } from '../errors/index.ts';
import { type BufferView, type Device, roundUp, whole } from '../gpu/index.ts';
import { ABSENT, type ExpertPool } from '../kernels/index.ts';

/** Layers whose experts are of one size share a pool of slots. */
export interface SlotClass {
  readonly slotBytes: number;
  readonly layers: readonly number[];
  readonly nSlots: number;
}

/** Slots of one size, of at most `nMost`, that any token can be computed with: what it uses, and one that is on its way. */
export function leastSlots(nExpertsUsed: number, nMost: number): number {
  return Math.min(nExpertsUsed + 1, nMost);
}

/**
 * Where experts lie on the GPU: for each size equal slots in a few buffers, and the page table [nLayers, nExperts] that
 * says which slot holds which. Kernels reach an expert through the table only, so a slot may hold any expert of its size.
 */
export class ExpertSlots {
  readonly pageTable: BufferView;
  private readonly pools: readonly (readonly ExpertPool[])[];
  private readonly table: Uint32Array;

  /** @throws {GpuError} `gpu/limits`: one expert is larger than this device can bind. */
  constructor(
    private readonly device: Device,
    private readonly size: { readonly nLayers: number; readonly nExperts: number },
    readonly classes: readonly SlotClass[],
    /** Bytes of one buffer at the most; default: what one dispatch can bind. */
    poolBytes = mostPoolBytes(device),
  ) {
    checkSlots(device, classes, poolBytes);
    let firstSlot = 0;
    this.pools = classes.map(({ slotBytes, nSlots }) => {
      const pools = makePools(device, slotBytes, nSlots, firstSlot, poolBytes);
      firstSlot += nSlots;
      return pools;
    });
    this.table = new Uint32Array(size.nLayers * size.nExperts).fill(ABSENT);
    const pageTable = device.buffers.storage('experts', 'pageTable', roundUp(this.table.byteLength, 16));
    device.write(pageTable, 0, new Uint8Array(this.table.buffer));
    this.pageTable = whole(pageTable);
  }

  /** Of all sizes together. */
  get nSlots(): number {
    return this.classes.reduce((sum, { nSlots }) => sum + nSlots, 0);
  }

  /** The buffers a layer's experts may lie in. */
  poolsOf(layer: number): { readonly pools: readonly ExpertPool[]; readonly slotBytes: number } {
    const i = this.classes.findIndex(({ layers }) => layers.includes(layer));
    return { pools: this.pools[i]!, slotBytes: this.classes[i]!.slotBytes };
  }

  /** Writes an expert's record into a slot, then names it in the page table: in this order on the queue. */
  fill(key: number, slot: number, record: Uint8Array): void {
    const [i, pool] = this.poolOf(slot);
    this.device.write(pool.view.buffer, (slot - pool.firstSlot) * this.classes[i]!.slotBytes, record);
    this.name(key, slot);
  }

  /** Takes an expert out of the page table; what is submitted from now on finds it absent. */
  forget(key: number): void {
    this.name(key, ABSENT);
  }

  /** The table's row of a layer [nExperts], as the host knows it. */
  row(layer: number): Uint32Array {
    return this.table.subarray(layer * this.size.nExperts, (layer + 1) * this.size.nExperts);
  }

  private name(key: number, slot: number): void {
    this.table[key] = slot;
    this.device.write(this.pageTable.buffer, key * 4, new Uint8Array(this.table.buffer, key * 4, 4));
  }

  private poolOf(slot: number): [classIndex: number, ExpertPool] {
    for (const [i, pools] of this.pools.entries()) {
      const pool = pools.find(({ firstSlot, nSlots }) => slot >= firstSlot && slot < firstSlot + nSlots);
      if (pool) return [i, pool];
    }
    throw new RangeError(`slot ${slot}`);
  }
}

function makePools(device: Device, slotBytes: number, nSlots: number, firstSlot: number, poolBytes: number) {
  const slotsPerPool = Math.floor(poolBytes / slotBytes);
  return Array.from({ length: Math.ceil(nSlots / slotsPerPool) }, (_, i): ExpertPool => {
    const n = Math.min(slotsPerPool, nSlots - i * slotsPerPool);
    const buffer = device.buffers.storage('experts', `experts.${firstSlot + i * slotsPerPool}`, n * slotBytes);
    return { view: whole(buffer), firstSlot: firstSlot + i * slotsPerPool, nSlots: n };
  });
}

/** What one dispatch can bind. */
function mostPoolBytes({ gpu }: Device): number {
  return Math.min(gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize);
}

/**
 * Whether this device can bind an expert of each size: known before there is one.
 * @throws {GpuError} `gpu/limits`: it can't.
 */
export function checkSlots(
  device: Device,
  classes: readonly Pick<SlotClass, 'slotBytes'>[],
  poolBytes = mostPoolBytes(device),
): void {
  const slotBytes = Math.max(0, ...classes.map((one) => one.slotBytes));
  if (slotBytes <= poolBytes) return;
  throw new GpuError('gpu/limits', `One expert is ${slotBytes} bytes; this device can bind ${poolBytes} at once.`, {
    remedy: 'Take a smaller quantization, or a device with larger bindings.',
    details: { slotBytes, poolBytes },
  });
}
