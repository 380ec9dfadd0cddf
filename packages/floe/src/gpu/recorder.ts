import { InternalError } from '../errors/index.ts';
import { BINDING_ALIGNMENT, type BufferView } from './buffers.ts';
import type { Device } from './device.ts';
import { bindingsOf, type PipelineSpec } from './pipelines.ts';
import type { BindingsOf, HolesOf, ParamsOf, Shader, ShaderPart } from './shader.ts';

/** One dispatch as a kernel's host side asks for it. */
export interface Dispatch<S extends Shader> {
  readonly shader: S;
  /** The shader's own by name, checked by type, and those its parts bring. */
  readonly bindings: Readonly<Record<keyof BindingsOf<S> & string, BufferView> & Record<string, BufferView>>;
  readonly params: Readonly<Record<keyof ParamsOf<S> & string, number>>;
  readonly parts?: Readonly<Record<HolesOf<S> & string, ShaderPart>>;
  readonly tunables?: Readonly<Record<string, number>>;
  readonly workgroups: readonly [x: number, y?: number, z?: number];
}

interface Recorded {
  readonly spec: PipelineSpec;
  readonly bindings: Readonly<Record<string, BufferView>>;
  readonly params: Uint8Array;
  readonly workgroups: readonly [number, number, number];
}

/**
 * Collects the dispatches of a step, in order; `finish` compiles what is missing and makes the bind groups, once. The
 * graph is then run as often as wanted: what changes from step to step lies in buffers, not in the graph.
 */
export class Recorder {
  private readonly recorded: Recorded[] = [];

  constructor(
    readonly device: Device,
    /** The flag every kernel of a layer tests first; see shaders/parts/fault.wgsl. */
    private readonly fault: BufferView,
  ) {}

  dispatch<S extends Shader>(dispatch: Dispatch<S>): void {
    const [x, y = 1, z = 1] = dispatch.workgroups;
    if (x === 0 || y === 0 || z === 0) return;
    const limit = 65_535;
    if (x > limit || y > limit || z > limit) {
      throw new InternalError(`${dispatch.shader.name}: ${x} × ${y} × ${z} workgroups; at most ${limit} each way`);
    }
    this.recorded.push({
      spec: {
        shader: dispatch.shader,
        parts: (dispatch.parts ?? {}) as Record<string, ShaderPart>,
        tunables: dispatch.tunables ?? {},
      },
      bindings: dispatch.bindings as Record<string, BufferView>,
      params: packParams(dispatch.shader, dispatch.params as Record<string, number>),
      workgroups: [x, y, z],
    });
  }

  /** Dispatches so far: where the finished graph may be cut. */
  get nRecorded(): number {
    return this.recorded.length;
  }

  async finish(label: string): Promise<Graph> {
    const { device, recorded } = this;
    const pipelines = await Promise.all(recorded.map(({ spec }) => device.pipelines.get(spec)));
    const params = device.buffers.uniform(`${label} params`, Math.max(1, recorded.length) * BINDING_ALIGNMENT);
    const bytes = new Uint8Array(recorded.length * BINDING_ALIGNMENT);
    for (const [i, entry] of recorded.entries()) bytes.set(entry.params, i * BINDING_ALIGNMENT);
    device.write(params, 0, bytes);
    const fault = device.gpu.createBindGroup({
      label: 'fault',
      layout: device.pipelines.faultLayout,
      entries: [{ binding: 0, resource: resource(this.fault) }],
    });
    const steps = recorded.map((entry, i) => {
      const { pipeline, layout } = pipelines[i]!;
      const { shader } = entry.spec;
      const entries = bindingsOf(entry.spec).map(({ binding, name, access }) => ({
        binding,
        resource:
          access === 'uniform'
            ? { buffer: params, offset: i * BINDING_ALIGNMENT, size: Math.max(16, entry.params.byteLength) }
            : resource(viewOf(entry, name)),
      }));
      const group = device.gpu.createBindGroup({ label: shader.name, layout, entries });
      return { name: shader.name, pipeline, group, readsFault: shader.readsFault, workgroups: entry.workgroups };
    });
    return new Graph(device, params, fault, steps);
  }
}

function viewOf(entry: Recorded, name: string): BufferView {
  const view = entry.bindings[name];
  if (!view) throw new InternalError(`${entry.spec.shader.name}: nothing is bound to ${name}`);
  return view;
}

function resource(view: BufferView): GPUBufferBinding {
  return { buffer: view.buffer, offset: view.offset, size: view.sizeBytes };
}

function packParams(shader: Shader, values: Record<string, number>): Uint8Array {
  const view = new DataView(new ArrayBuffer(Math.ceil((shader.params.length * 4) / 16) * 16));
  shader.params.forEach(({ name, type }, i) => {
    const value = values[name];
    if (value === undefined || !Number.isFinite(value)) {
      throw new InternalError(`${shader.name}: Params.${name} is ${value}`);
    }
    if (type === 'f32') view.setFloat32(i * 4, value, true);
    else if (type === 'u32') view.setUint32(i * 4, value, true);
    else view.setInt32(i * 4, value, true);
  });
  return new Uint8Array(view.buffer);
}

interface Step {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly readsFault: boolean;
  readonly workgroups: readonly [number, number, number];
}

/** A recorded step: the same dispatches each time it is encoded, all of them or a part. */
export class Graph {
  constructor(
    private readonly device: Device,
    private readonly params: GPUBuffer,
    private readonly fault: GPUBindGroup,
    readonly steps: readonly Step[],
  ) {}

  encode(encoder: GPUCommandEncoder, pass: GPUComputePassDescriptor = {}): void {
    const computePass = encoder.beginComputePass(pass);
    this.encodePart(computePass, 0, this.steps.length);
    computePass.end();
  }

  /** The dispatches from `from` up to `to`, into a pass that is open. */
  encodePart(pass: GPUComputePassEncoder, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const step = this.steps[i]!;
      pass.setPipeline(step.pipeline);
      pass.setBindGroup(0, step.group);
      if (step.readsFault) pass.setBindGroup(1, this.fault);
      pass.dispatchWorkgroups(...step.workgroups);
    }
    this.device.counts.dispatches += to - from;
  }

  destroy(): void {
    this.device.buffers.destroy(this.params);
  }
}
