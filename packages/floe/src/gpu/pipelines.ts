import { GpuError } from '../errors/index.ts';
import { compose, type Shader, type ShaderPart } from './shader.ts';

/** What makes one pipeline: a shader, what fills its holes, and its constants. */
export interface PipelineSpec {
  readonly shader: Shader;
  readonly parts: Readonly<Record<string, ShaderPart>>;
  readonly tunables: Readonly<Record<string, number>>;
}

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Compiles each pipeline once, all of a graph's in parallel, and never inside a step. */
export class PipelineCache {
  private readonly pipelines = new Map<string, Promise<Pipeline>>();
  /** How many are compiled of those that were asked for. */
  readonly compiled = { done: 0, asked: 0 };
  /** Hears of each pipeline that is compiled. */
  onCompiled: () => void = () => {};
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  /** Bind group 1 of every shader that begins with the fault test. */
  readonly faultLayout: GPUBindGroupLayout;

  constructor(private readonly gpu: GPUDevice) {
    this.faultLayout = gpu.createBindGroupLayout({
      label: 'fault',
      entries: [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'read-only-storage' } }],
    });
  }

  get count(): number {
    return this.pipelines.size;
  }

  get(spec: PipelineSpec): Promise<Pipeline> {
    const key = pipelineKey(spec);
    let pipeline = this.pipelines.get(key);
    if (!pipeline) {
      this.compiled.asked++;
      pipeline = this.compile(spec, key).then((made) => {
        this.compiled.done++;
        this.onCompiled();
        return made;
      });
      this.pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  private async compile(spec: PipelineSpec, label: string): Promise<Pipeline> {
    const { shader } = spec;
    const layout = this.layoutOf(spec);
    const module = this.gpu.createShaderModule({ label, code: compose(shader, spec.parts, spec.tunables) });
    try {
      const pipeline = await this.gpu.createComputePipelineAsync({
        label,
        layout: this.gpu.createPipelineLayout({
          bindGroupLayouts: shader.readsFault ? [layout, this.faultLayout] : [layout],
        }),
        compute: { module, entryPoint: shader.entryPoint },
      });
      return { pipeline, layout };
    } catch (cause) {
      throw new GpuError(
        'gpu/compile',
        `The kernel ${label} did not compile: ${String((cause as Error).message ?? cause)}`,
        {
          remedy: 'This is a fault of Floe or of the driver: please report it with the browser and GPU you have.',
          details: { kernel: label },
          cause,
        },
      );
    }
  }

  private layoutOf(spec: PipelineSpec): GPUBindGroupLayout {
    const bindings = bindingsOf(spec);
    const key = bindings.map(({ binding, access }) => `${binding} ${access}`).join();
    let layout = this.layouts.get(key);
    if (!layout) {
      layout = this.gpu.createBindGroupLayout({
        label: spec.shader.name,
        entries: bindings.map(({ binding, access }) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: access === 'uniform' ? 'uniform' : access === 'read' ? 'read-only-storage' : 'storage' },
        })),
      });
      this.layouts.set(key, layout);
    }
    return layout;
  }
}

/** The bindings of group 0: the shader's own and those its parts bring. */
export function bindingsOf(spec: Pick<PipelineSpec, 'shader' | 'parts'>): Shader['bindings'] {
  return [...spec.shader.bindings, ...Object.values(spec.parts).flatMap((part) => part.bindings)];
}

/** Names a variant: 'matvec unpack=unpack_q4_0 ROWS=4'. */
export function pipelineKey(spec: PipelineSpec): string {
  const parts = Object.entries(spec.parts).map(([hole, part]) => `${hole}=${part.name.replace('parts/', '')}`);
  const numbers = Object.entries(spec.tunables).map(([name, value]) => `${name}=${value}`);
  return [spec.shader.name, ...parts, ...numbers].join(' ');
}
