/** What kernel tests share: arrays into buffers, one recorded graph run three times, arrays out. */
import { testGpu } from '@floe/testkit/nodeGpu';
import {
  type BufferView,
  type Device,
  type DeviceOptions,
  type KernelFamily,
  openDevice,
  Recorder,
  readBuffer,
  whole,
} from '../gpu/index.ts';
import { type FormatName, formatByName, planeBytes, rowStride } from '../quant/index.ts';
import type { DenseMatrix } from './matrix.ts';
import { NO_FAULT } from './route.ts';

export const families: readonly KernelFamily[] = ['thread', 'cooperative'];

/** Devices are opened once for a test file: compiled pipelines serve all its cases. */
const devices = new Map<string, Promise<Device>>();

export function testDevice(options: DeviceOptions = {}): Promise<Device> {
  const key = JSON.stringify(options);
  const device = devices.get(key) ?? openDevice(testGpu(), options);
  devices.set(key, device);
  return device;
}

/** A buffer that holds these values. */
export function upload(device: Device, values: Float32Array | Uint32Array | Uint8Array): BufferView {
  const buffer = device.buffers.storage('other', 'test', Math.max(256, values.byteLength));
  device.write(buffer, 0, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return whole(buffer);
}

/** Rows of `dim` values, each padded with zeros to whole groups of 32, as activations are. */
export function paddedRows(values: ArrayLike<number>, dim: number): Float32Array {
  const nRows = values.length / dim;
  const stride = rowStride(dim);
  const out = new Float32Array(nRows * stride);
  for (let row = 0; row < nRows; row++) {
    for (let i = 0; i < dim; i++) out[row * stride + i] = values[row * dim + i]!;
  }
  return out;
}

/** The inverse of `paddedRows`. */
export function unpadded(values: Float32Array, dim: number): Float32Array {
  const stride = rowStride(dim);
  const nRows = values.length / stride;
  const out = new Float32Array(nRows * dim);
  for (let row = 0; row < nRows; row++) out.set(values.subarray(row * stride, row * stride + dim), row * dim);
  return out;
}

/** A record of one matrix [nRows, rowElements] from a file's bytes, as the store packs it. */
export function packMatrix(
  format: FormatName,
  bytes: Uint8Array,
  nRows: number,
  rowElements: number,
): { record: Uint8Array; mainOffset: number; sideOffset: number } {
  const row = formatByName(format);
  const planes = planeBytes(row, nRows, rowElements);
  const sideOffset = Math.ceil(planes.main / 256) * 256;
  const record = new Uint8Array(Math.ceil((sideOffset + planes.side) / 256) * 256 || 256);
  const [fileRow, mainRow, sideRow] = [bytes.length / nRows, planes.main / nRows, planes.side / nRows];
  for (let i = 0; i < nRows; i++) {
    row.packRow(
      bytes.subarray(i * fileRow, (i + 1) * fileRow),
      record.subarray(i * mainRow, (i + 1) * mainRow),
      record.subarray(sideOffset + i * sideRow, sideOffset + (i + 1) * sideRow),
    );
  }
  return { record, mainOffset: 0, sideOffset };
}

/** A dense matrix on the device. */
export function uploadMatrix(
  device: Device,
  format: FormatName,
  bytes: Uint8Array,
  nRows: number,
  rowElements: number,
): DenseMatrix {
  const { record, mainOffset, sideOffset } = packMatrix(format, bytes, nRows, rowElements);
  return { format, nRows, rowElements, mainOffset, sideOffset, record: upload(device, record) };
}

/** Records once, runs the graph three times, and gives what `output` held after each run. `before` restores what a run changes. */
export async function runThrice(
  device: Device,
  record: (rec: Recorder) => void,
  output: BufferView,
  nValues: number,
  before: () => void = () => {},
): Promise<Float32Array[]> {
  const rec = new Recorder(device, upload(device, new Uint32Array([NO_FAULT])));
  record(rec);
  const graph = await rec.finish('test');
  const runs: Float32Array[] = [];
  for (let run = 0; run < 3; run++) {
    before();
    const encoder = device.gpu.createCommandEncoder();
    graph.encode(encoder);
    device.submit(encoder.finish());
    runs.push(new Float32Array(await readBuffer(device, output.buffer, 0, nValues * 4)));
  }
  device.throwIfFailed();
  return runs;
}
