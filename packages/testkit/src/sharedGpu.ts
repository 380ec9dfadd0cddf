/**
 * One device under many. A software adapter takes seconds to compile a model's kernels and milliseconds to run them, so
 * tests that load one model after another would do little but compile. What is opened here is a device to its user: it
 * has buffers of its own and can be destroyed; but kernels of the same text are compiled once.
 */
export function sharedGpu(gpu: GPU): GPU {
  const devices = new Map<string, Promise<GPUDevice>>();
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    const adapter = await gpu.requestAdapter(options);
    if (!adapter) return null;
    return over(adapter, {
      requestDevice: async (descriptor: GPUDeviceDescriptor = {}) => {
        const key = JSON.stringify(descriptor);
        const device = devices.get(key) ?? adapter.requestDevice(descriptor).then(compilingOnce);
        devices.set(key, device);
        return opened(await device);
      },
    });
  };
  return over(gpu, { requestAdapter });
}

/** The same device, which gives what it made before where it is asked for the same again. */
function compilingOnce(device: GPUDevice): GPUDevice {
  const made = new Map<string, unknown>();
  const names = new Map<object, number>();
  /** Objects made here stand for themselves in the keys of what is made of them. */
  const keyOf = (kind: string, descriptor: object) =>
    kind +
    JSON.stringify(descriptor, (key, value) => (key === 'label' ? undefined : (names.get(value as object) ?? value)));
  const once = <D extends object, T extends object>(kind: string, make: (descriptor: D) => T) => {
    return (descriptor: D): T => {
      const key = keyOf(kind, descriptor);
      const kept = (made.get(key) as T | undefined) ?? make.call(device, descriptor);
      made.set(key, kept);
      if (!names.has(kept)) names.set(kept, names.size);
      return kept;
    };
  };
  return over(device, {
    createShaderModule: once('module', device.createShaderModule),
    createBindGroupLayout: once('bindGroupLayout', device.createBindGroupLayout),
    createPipelineLayout: once('pipelineLayout', device.createPipelineLayout),
    createComputePipelineAsync: once('pipeline', device.createComputePipelineAsync),
  });
}

/** A device of its user's own: destroyed alone, and lost then. */
function opened(device: GPUDevice): GPUDevice {
  let destroy = () => {};
  const destroyed = new Promise<GPUDeviceLostInfo>((resolve) => {
    destroy = () => resolve({ reason: 'destroyed', message: 'destroyed' } as GPUDeviceLostInfo);
  });
  return over(device, { lost: Promise.race([device.lost, destroyed]), destroy });
}

/** `target` with some of its members replaced. Its own methods are called on itself, as native ones must be. */
function over<T extends object>(target: T, members: Partial<Record<keyof T, unknown>>): T {
  return new Proxy(target, {
    get: (_, name) => {
      if (name in members) return members[name as keyof T];
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set: (_, name, value) => Reflect.set(target, name, value, target),
  });
}
