import { type BufferView, type Device, Readback, whole } from '../gpu/index.ts';
import { type KvFormatName, type KvView, kvBlockBytes } from '../kernels/index.ts';
import { KvBlocks } from './blocks.ts';
import { KV_ROWS, type KvGeometry, type KvShape, type KvWindow, kvGeometry } from './geometry.ts';
import type { KvCopy, KvStep } from './sequence.ts';

/**
 * The keys and values of every conversation, in blocks of 32 positions: one buffer a layer, bound whole. Which block is
 * whose is a matter of `blocks` and of each conversation's `KvSequence`; the pool holds the bytes and the table.
 */
export class KvPool {
  readonly blocks: KvBlocks;
  readonly geometry: KvGeometry;
  /** Of one block in one layer. */
  readonly blockBytes: number;
  private readonly layers: readonly BufferView[];
  private readonly blockTable: BufferView;
  private readonly staging: BufferView;
  /** Each row of the table as the device has it. */
  private readonly tables: (Uint32Array | null)[];
  private reading: Promise<unknown> = Promise.resolve();

  /** @throws {GpuError} `gpu/limits`: a layer's blocks are more than this device can bind. */
  constructor(
    private readonly device: Device,
    shape: KvShape,
    readonly format: KvFormatName,
    readonly window: KvWindow,
    /** Whole windows it has room for, of however many conversations. */
    nWindows = 1,
  ) {
    this.geometry = kvGeometry(window);
    this.blocks = new KvBlocks(nWindows * this.geometry.tableBlocks);
    this.blockBytes = kvBlockBytes(format, shape);
    const make = (name: string, sizeBytes: number) => whole(device.buffers.storage('kv', name, sizeBytes));
    this.layers = Array.from({ length: shape.nLayers }, (_, layer) =>
      make(`kv.${layer}`, this.blocks.nBlocks * this.blockBytes),
    );
    this.staging = make('kv.copied block', this.blockBytes);
    this.tables = Array.from({ length: KV_ROWS }, () => null);
    this.blockTable = make('kv.table', KV_ROWS * this.geometry.tableBlocks * 4);
  }

  /** What the kernels of a layer bind; `places` [T] are (position, row of the table). */
  layer(layer: number, places: BufferView): KvView {
    const { format, blockTable, geometry } = this;
    return { format, kv: this.layers[layer]!, places, blockTable, ...geometry };
  }

  /** A layer's bytes, for copies of blocks out and in. */
  buffer(layer: number): GPUBuffer {
    return this.layers[layer]!.buffer;
  }

  /** What a step of conversation `row` asks for, before it is submitted: once, though a prompt's layers each see its table. */
  prepare(row: number, { table, copies }: KvStep): void {
    if (copies.length > 0) {
      const encoder = this.device.gpu.createCommandEncoder();
      this.copy(encoder, copies);
      this.device.submit(encoder.finish());
    }
    this.writeTable(row, table);
  }

  /** Tells the steps submitted from now on where conversation `row` lies. */
  writeTable(row: number, table: Uint32Array<ArrayBuffer>): void {
    if (this.tables[row] === table) return;
    this.tables[row] = table;
    const bytes = new Uint8Array(table.buffer, table.byteOffset, table.byteLength);
    this.device.write(this.blockTable.buffer, row * this.geometry.tableBlocks * 4, bytes);
  }

  /** Copies blocks in all layers: before the step that asked for it. WebGPU copies within no buffer, so by way of another. */
  private copy(encoder: GPUCommandEncoder, copies: readonly KvCopy[]): void {
    const { staging, blockBytes } = this;
    for (const { buffer } of this.layers) {
      for (const { from, to } of copies) {
        encoder.copyBufferToBuffer(buffer, from * blockBytes, staging.buffer, 0, blockBytes);
        encoder.copyBufferToBuffer(staging.buffer, 0, buffer, to * blockBytes, blockBytes);
      }
    }
  }

  /** Bytes of a block in all layers. */
  get savedBytes(): number {
    return this.layers.length * this.blockBytes;
  }

  /** What blocks hold in all layers, layer after layer, when those that were asked for before are read: one portion at a time. */
  read(blocks: readonly number[]): Promise<Uint8Array[]> {
    const read = this.reading.then(() => this.readNow(blocks));
    this.reading = read.catch(() => undefined);
    return read;
  }

  private async readNow(blocks: readonly number[]): Promise<Uint8Array[]> {
    const { device, layers, blockBytes, savedBytes } = this;
    const readback = new Readback(device, blocks.length * savedBytes);
    const encoder = device.gpu.createCommandEncoder();
    const parts = blocks.flatMap((block) =>
      layers.map(({ buffer: source }) => ({ source, offset: block * blockBytes, sizeBytes: blockBytes })),
    );
    const pending = readback.copyParts(encoder, parts);
    device.submit(encoder.finish());
    try {
      const bytes = await pending.wait();
      // Copies: a view would take the whole buffer along wherever it is stored.
      return blocks.map((_, i) => new Uint8Array(bytes.slice(i * savedBytes, (i + 1) * savedBytes)));
    } finally {
      readback.destroy();
    }
  }

  /** Puts back what `read` gave. */
  write(block: number, bytes: Uint8Array): void {
    const { blockBytes } = this;
    for (const [layer, { buffer }] of this.layers.entries())
      this.device.write(buffer, block * blockBytes, bytes.subarray(layer * blockBytes, (layer + 1) * blockBytes));
  }

  destroy(): void {
    for (const { buffer } of [...this.layers, this.staging, this.blockTable]) this.device.buffers.destroy(buffer);
  }
}
