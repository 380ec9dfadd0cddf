import { type BufferView, type Device, whole } from '../gpu/index.ts';

/** Bytes of a cache of `nSlots` positions. */
export function kvBytes(shape: KvShape, nSlots: number): number {
  return 2 * shape.nLayers * layerBytes(shape, nSlots);
}

export interface KvShape {
  readonly nLayers: number;
  readonly nKvHeads: number;
  readonly headDim: number;
}

function layerBytes({ nKvHeads, headDim }: KvShape, nSlots: number): number {
  return nKvHeads * nSlots * headDim * 4;
}

/** The key-value cache of one conversation: per layer, keys and values [nKvHeads, nSlots, headDim] in f32. */
export class KvCache {
  private readonly layers: readonly { readonly k: GPUBuffer; readonly v: GPUBuffer }[];

  constructor(
    private readonly device: Device,
    shape: KvShape,
    /** Positions it holds. */
    readonly nSlots: number,
  ) {
    const sizeBytes = layerBytes(shape, nSlots);
    this.layers = Array.from({ length: shape.nLayers }, (_, layer) => ({
      k: device.buffers.storage('kv', `kv.${layer}.k`, sizeBytes),
      v: device.buffers.storage('kv', `kv.${layer}.v`, sizeBytes),
    }));
  }

  at(layer: number): { kCache: BufferView; vCache: BufferView } {
    const { k, v } = this.layers[layer]!;
    return { kCache: whole(k), vCache: whole(v) };
  }

  destroy(): void {
    for (const { k, v } of this.layers) {
      this.device.buffers.destroy(k);
      this.device.buffers.destroy(v);
    }
  }
}
