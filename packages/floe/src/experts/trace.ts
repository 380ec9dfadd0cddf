/**
 * A recorded routing: which experts each token used in each layer, in rank order. The file is a line of JSON
 * (`TraceShape`) and then, for each token, a byte for its phase, nLayers · nExpertsUsed ids as u16 and as many weights
 * as IEEE halves, little-endian: 281 bytes a token for Arctic.
 */
import { type ErrorDetail, RequestError } from '../errors/index.ts';
import { halfToNumber, numberToHalf } from '../quant/index.ts';

/** The id where a token was not routed: the last layer needs a prompt's last token only. All ranks of a layer or none. */
export const NOT_ROUTED = 0xffff;

export const PROMPT = 0;
export const DECODE = 1;

/** The model a trace is of: the first line of its file. */
export interface TraceShape {
  /** For people. */
  readonly model: string;
  readonly nLayers: number;
  /** In a layer. */
  readonly nExperts: number;
  /** For a token in a layer. */
  readonly nExpertsUsed: number;
  /** Of one expert, by layer. */
  readonly slotBytes: readonly number[];
}

export interface Trace extends TraceShape {
  readonly nTokens: number;
  /** [nTokens, nLayers, nExpertsUsed] in rank order, or NOT_ROUTED. */
  readonly ids: Uint16Array;
  /** As ids; 0 where not routed. */
  readonly weights: Float32Array;
  /** PROMPT or DECODE, by token. */
  readonly phases: Uint8Array;
}

/** One token of a trace. */
export interface TraceToken {
  readonly phase: number;
  /** [nLayers, nExpertsUsed] */
  readonly ids: ArrayLike<number>;
  readonly weights: ArrayLike<number>;
}

/** The first bytes of a trace's file; its tokens follow, each as `encodeTraceToken()` gives it. */
export function encodeTraceShape({
  model,
  nLayers,
  nExperts,
  nExpertsUsed,
  slotBytes,
}: TraceShape): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${JSON.stringify({ model, nLayers, nExperts, nExpertsUsed, slotBytes })}\n`);
}

/** The bytes of one token, for a recorder to append. */
export function encodeTraceToken({ phase, ids, weights }: TraceToken): Uint8Array<ArrayBuffer> {
  const n = ids.length;
  const bytes = new Uint8Array(1 + 4 * n);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, phase);
  for (let i = 0; i < n; i++) {
    view.setUint16(1 + 2 * i, ids[i]!, true);
    view.setUint16(1 + 2 * (n + i), numberToHalf(weights[i]!), true);
  }
  return bytes;
}

/** A whole file. Weights are rounded to halves. */
export function writeTrace(trace: Trace): Uint8Array<ArrayBuffer> {
  const n = trace.nLayers * trace.nExpertsUsed;
  const tokens = Array.from(trace.phases, (phase, t) =>
    encodeTraceToken({
      phase,
      ids: trace.ids.subarray(t * n, (t + 1) * n),
      weights: trace.weights.subarray(t * n, (t + 1) * n),
    }),
  );
  return concat([encodeTraceShape(trace), ...tokens]);
}

/**
 * Reads a whole file.
 *
 * @throws {RequestError} `request/invalid`: it is no trace, or damaged; the message names the byte and what stood there.
 */
export function readTrace(bytes: Uint8Array): Trace {
  const end = bytes.subarray(0, MAX_HEADER_BYTES).indexOf(0x0a);
  if (end < 0) throw damaged(`It has no first line within ${MAX_HEADER_BYTES} bytes.`, { sizeBytes: bytes.length });
  const shape = readShape(bytes.subarray(0, end));
  const n = shape.nLayers * shape.nExpertsUsed;
  const tokenBytes = 1 + 4 * n;
  const bodyBytes = bytes.length - end - 1;
  if (bodyBytes % tokenBytes !== 0) {
    throw damaged(`${bodyBytes} bytes follow its first line: not a whole number of tokens of ${tokenBytes}.`, {
      bodyBytes,
      tokenBytes,
    });
  }
  const trace = emptyTrace(shape, bodyBytes / tokenBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset + end + 1, bodyBytes);
  for (let t = 0; t < trace.nTokens; t++) {
    const at = t * tokenBytes;
    trace.phases[t] = view.getUint8(at);
    for (let i = 0; i < n; i++) {
      trace.ids[t * n + i] = view.getUint16(at + 1 + 2 * i, true);
      trace.weights[t * n + i] = halfToNumber(view.getUint16(at + 1 + 2 * (n + i), true));
    }
  }
  return checkTrace(trace);
}

/** A trace of `nTokens` that were not routed anywhere yet. */
export function emptyTrace(shape: TraceShape, nTokens: number): Trace {
  const n = nTokens * shape.nLayers * shape.nExpertsUsed;
  return {
    ...shape,
    nTokens,
    ids: new Uint16Array(n).fill(NOT_ROUTED),
    weights: new Float32Array(n),
    phases: new Uint8Array(nTokens),
  };
}

/**
 * `trace`, once every phase, id and weight in it can be.
 *
 * @throws {RequestError} `request/invalid`: names the token and layer where one can't.
 */
export function checkTrace(trace: Trace): Trace {
  const { nLayers, nExpertsUsed, phases } = trace;
  for (let token = 0; token < trace.nTokens; token++) {
    if (phases[token] !== PROMPT && phases[token] !== DECODE) {
      throw damaged(`Token ${token} is of phase ${phases[token]}, which is neither 0 nor 1.`, { token });
    }
    for (let layer = 0; layer < nLayers; layer++) {
      const at = (token * nLayers + layer) * nExpertsUsed;
      const fault = routeFault(trace, at);
      if (fault) throw damaged(`Token ${token}, layer ${layer}: ${fault}.`, { token, layer });
    }
  }
  return trace;
}

/** What is wrong with the route whose first id is at `at`, or null. */
function routeFault({ ids, weights, nExperts, nExpertsUsed }: Trace, at: number): string | null {
  const isRouted = ids[at] !== NOT_ROUTED;
  for (let rank = 0; rank < nExpertsUsed; rank++) {
    const id = ids[at + rank]!;
    if ((id !== NOT_ROUTED) !== isRouted) return 'some of its ranks are routed, some are not';
    if (isRouted && id >= nExperts) return `expert ${id} of ${nExperts}`;
    if (isRouted && ids.subarray(at, at + rank).includes(id)) return `expert ${id} twice`;
    if (!Number.isFinite(weights[at + rank])) return `weight ${weights[at + rank]}`;
  }
  return null;
}

/** Longer than any: 1,024 layers with a number of ten digits each are a sixth of it. */
const MAX_HEADER_BYTES = 2 ** 16;

function readShape(line: Uint8Array): TraceShape {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch (cause) {
    throw damaged('Its first line is not JSON.', { sizeBytes: line.length }, cause);
  }
  const { model, nLayers, nExperts, nExpertsUsed, slotBytes } = (value ?? {}) as Partial<TraceShape>;
  const isCount = (n: unknown, most: number): n is number => Number.isInteger(n) && Number(n) >= 1 && Number(n) <= most;
  if (
    typeof model !== 'string' ||
    !isCount(nLayers, 1024) ||
    !isCount(nExperts, NOT_ROUTED) ||
    !isCount(nExpertsUsed, Math.min(nExperts, 1024)) ||
    !Array.isArray(slotBytes) ||
    slotBytes.length !== nLayers ||
    !slotBytes.every((bytes) => isCount(bytes, Number.MAX_SAFE_INTEGER))
  ) {
    throw damaged(
      'Its first line does not say model, nLayers, nExperts, nExpertsUsed and the slotBytes of each layer.',
      { sizeBytes: line.length },
    );
  }
  return { model, nLayers, nExperts, nExpertsUsed, slotBytes };
}

/** What every reader of traces throws. */
export function damaged(
  message: string,
  details: Readonly<Record<string, ErrorDetail>>,
  cause?: unknown,
): RequestError {
  return new RequestError('request/invalid', `This is not a whole trace of expert routes. ${message}`, {
    remedy: 'Record it again, or take another file.',
    details,
    ...(cause === undefined ? {} : { cause }),
  });
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
