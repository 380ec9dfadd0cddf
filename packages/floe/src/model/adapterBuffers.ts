import { BINDING_ALIGNMENT, type BufferView, type Device, roundUp, whole } from '../gpu/index.ts';
import { betweenBytes } from './adapterBetween.ts';
import type { AdapterSet } from './adapters.ts';
import type { ModelPlan } from './plan.ts';
import type { StepSizes } from './stepSizes.ts';

/** What steps write between an adapter's matrices: nothing while there is no adapter. */
export class AdapterBuffers {
  private views = new Map<string, BufferView>();

  constructor(
    private readonly device: Device,
    private readonly plan: ModelPlan,
    private readonly sizes: StepSizes,
  ) {}

  /** [T, rank] A · x. Of each rank its own, so that what pads a row stays 0. */
  low(rank: number): BufferView {
    return this.views.get(`low ${rank}`)!;
  }

  /** [T · k, rank]. */
  expertLow(rank: number): BufferView {
    return this.views.get(`expert low ${rank}`)!;
  }

  /** [T, gate | up] of the dense MLP, and [T · k, gate | up] of experts, where a step has none of its own. */
  get gateUp(): BufferView {
    return this.views.get('gate up')!;
  }

  get expertGateUp(): BufferView {
    return this.views.get('expert gate up')!;
  }

  /** [T · k] ids of experts that have a slot. */
  get present(): BufferView {
    return this.views.get('present')!;
  }

  /**
   * Makes room for what these adapters need, and for no more. Nothing recorded before may run after.
   * @throws {GpuError} `gpu/out-of-memory`, `gpu/limits`.
   */
  async fit(adapters: AdapterSet): Promise<void> {
    const acting = adapters.active.map(({ plan }) => plan);
    const needed = betweenBytes(this.plan, this.sizes, acting);
    for (const [name, { buffer }] of this.views) {
      if (needed.has(name)) continue;
      this.views.delete(name);
      this.device.buffers.destroy(buffer);
    }
    await this.device.checked(async () => {
      for (const [name, bytes] of needed) {
        if (this.views.has(name)) continue;
        const sizeBytes = roundUp(bytes, BINDING_ALIGNMENT);
        this.views.set(name, whole(this.device.buffers.storage('adapters', name, sizeBytes)));
      }
    });
  }

  destroy(): void {
    for (const { buffer } of this.views.values()) this.device.buffers.destroy(buffer);
    this.views.clear();
  }
}
