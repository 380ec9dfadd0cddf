/** Records in GPU buffers: each in one, or, where the device can't bind that, its matrices in pieces by rows. */
import { BINDING_ALIGNMENT, type Device, roundUp, whole } from '../gpu/index.ts';
import type { DenseMatrix } from '../kernels/index.ts';
import { formatByName, planeBytes } from '../quant/index.ts';
import type { MatrixPlan, RecordPlan } from '../store/index.ts';
import type { PlacedMatrix } from './placeLayer.ts';

export interface RecordPlacing {
  /** The most that one buffer may have. */
  readonly bufferBytes: number;
  /** Its rows are gate over up: a piece has the same rows of both. */
  readonly isGateOverUp: boolean;
}

/** @throws {GpuError} `gpu/limits`: a single row, or a vector, is more than the device can bind. */
export function placeRecord(
  device: Device,
  record: RecordPlan,
  bytes: Uint8Array,
  placing: RecordPlacing,
): PlacedMatrix[] {
  if (record.sizeBytes > placing.bufferBytes)
    return record.matrices.map((matrix) => inPieces(device, record.key, matrix, bytes, placing));
  const buffer = device.buffers.storage('weights', record.key, record.sizeBytes);
  device.write(buffer, 0, bytes);
  return record.matrices.map((matrix) => ({ ...matrix, record: whole(buffer) }));
}

/** The most that a buffer of this device may have, and a kernel bind. */
export function mostBytes({ gpu }: Device): number {
  return Math.min(gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize);
}

function inPieces(
  device: Device,
  label: string,
  matrix: MatrixPlan,
  bytes: Uint8Array,
  { bufferBytes, isGateOverUp }: RecordPlacing,
): PlacedMatrix {
  const nHalves = isGateOverUp ? 2 : 1;
  const nOutputs = matrix.nRows / nHalves;
  const planes = planeBytes(formatByName(matrix.format), matrix.nRows, matrix.rowElements);
  const outputBytes = (planes.main + planes.side) / nOutputs;
  // Each plane ends at a multiple of the alignment. No kernel needs rows in tens, but none has a tile half empty then.
  const room = Math.floor((bufferBytes - 2 * BINDING_ALIGNMENT) / outputBytes);
  const nMost = Math.max(1, room < 64 ? room : room - (room % 64));
  const pieces: DenseMatrix[] = [];
  for (let first = 0; first < nOutputs; first += nMost) {
    const rows = { first, n: Math.min(nMost, nOutputs - first), nOutputs, nHalves };
    pieces.push(pieceOf(device, `${label} from ${first}`, matrix, bytes, rows));
  }
  return { ...matrix, record: pieces[0]!.record, pieces };
}

interface Rows {
  readonly first: number;
  readonly n: number;
  /** Rows of a half, and halves. */
  readonly nOutputs: number;
  readonly nHalves: number;
}

function pieceOf(device: Device, label: string, matrix: MatrixPlan, bytes: Uint8Array, rows: Rows): DenseMatrix {
  const nRows = rows.n * rows.nHalves;
  const format = formatByName(matrix.format);
  const planes = planeBytes(format, nRows, matrix.rowElements);
  const sideOffset = roundUp(planes.main, BINDING_ALIGNMENT);
  const buffer = device.buffers.storage('weights', label, roundUp(sideOffset + planes.side, BINDING_ALIGNMENT));
  // A row of the main plane is whole vectors; one of the side plane may end within a word, so that one is written whole.
  const side = new Uint8Array(roundUp(planes.side, 4));
  for (let half = 0; half < rows.nHalves; half++) {
    const from = (plane: number, rowBytes: number) => {
      const at = plane + (half * rows.nOutputs + rows.first) * rowBytes;
      return bytes.subarray(at, at + rows.n * rowBytes);
    };
    const [mainRow, sideRow] = [planes.main / nRows, planes.side / nRows];
    device.write(buffer, half * rows.n * mainRow, from(matrix.mainOffset, mainRow));
    side.set(from(matrix.sideOffset, sideRow), half * rows.n * sideRow);
  }
  if (side.length > 0) device.write(buffer, sideOffset, side);
  return { ...matrix, nRows, mainOffset: 0, sideOffset, record: whole(buffer) };
}
