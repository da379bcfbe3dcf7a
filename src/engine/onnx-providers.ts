/**
 * @file The execution providers of ONNX Runtime: the options that the Node.js binding accepts, whether a provider can be there
 * at all, and what the runtime's failures mean. Does not load the runtime.
 */
import { DeepDefenseError, type TensorSpec } from '../core/index.ts';
import { listDevices, nvidiaGpus, providerLibraryMissing, thisMachine } from './devices.ts';

export type Provider = 'cpu' | 'webgpu' | 'cuda' | 'tensorrt';

export interface SessionOptions {
  readonly provider: Provider;
  /** Index of the device. */
  readonly device: number;
  /** Intra-op threads. */
  readonly threads: number;
  /** Switches the runtime's profiler on; its file begins with this path. */
  readonly profilePrefix?: string;
}

/**
 * What the binding takes as `executionProviders`. Of 1.30's options for `cuda` and `tensorrt` it passes on the device alone;
 * docs/engines.md says how to set the others from outside.
 */
export function executionProviders({ provider, device }: Pick<SessionOptions, 'provider' | 'device'>): ProviderEntry[] {
  switch (provider) {
    case 'cpu':
      return [{ name: 'cpu' }];
    case 'webgpu':
      // Our images lie channels-first; every buffer size recurs in each run, so exact sizes are reused.
      return [{ name: 'webgpu', preferredLayout: 'NCHW', validationMode: 'basic', storageBufferCacheMode: 'simple' }];
    case 'cuda':
      return [{ name: 'cuda', deviceId: device }];
    case 'tensorrt':
      // Nodes that TensorRT leaves go to CUDA before they go to the CPU.
      return [
        { name: 'tensorrt', deviceId: device },
        { name: 'cuda', deviceId: device },
      ];
  }
}

export type ProviderEntry = { readonly name: Provider } & Readonly<Record<string, string | number>>;

/**
 * Refuses what can be refused without the runtime, whose own messages for these cases help nobody.
 * @throws DeepDefenseError ENGINE_UNAVAILABLE when the provider's library is missing or the device's index is out of range
 */
export function checkProvider({ provider, device }: Pick<SessionOptions, 'provider' | 'device'>, machine = thisMachine): void {
  const what = `the engine "onnx:${provider}" can't run here`;
  if (provider === 'cpu' || provider === 'webgpu') {
    if (device === 0) return;
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what,
      expected: 'device 0, the only one of this engine',
      got: `device ${device}`,
      todo:
        provider === 'cpu'
          ? 'set engine.device to 0'
          : "set engine.device to 0 and choose the GPU by its driver: VK_ICD_FILENAMES, or Mesa's MESA_VK_DEVICE_SELECT",
    });
  }
  const missing = providerLibraryMissing(provider, machine);
  if (missing)
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what,
      expected: `ONNX Runtime's ${provider} provider`,
      got: missing.reason,
      todo: missing.todo,
    });
  const gpus = nvidiaGpus(machine);
  if (gpus !== undefined && device >= gpus.length)
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what,
      expected: gpus.length === 0 ? 'a GPU' : `a device from 0 to ${gpus.length - 1}`,
      got: `device ${device} where ${gpus.length === 0 ? 'there is none' : `there are ${gpus.map(({ name }) => name).join(', ')}`}`,
      todo: 'set engine.device; CUDA_VISIBLE_DEVICES narrows the list',
    });
}

/** A failure of the runtime while the engine starts. */
export function startError(provider: Provider, cause: unknown, machine = thisMachine): DeepDefenseError {
  const message = messageOf(cause);
  const what = `the engine "onnx:${provider}" can't run here`;
  if (/fallback to CPU EP has been explicitly disabled/i.test(message))
    return new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what,
      expected: `a convolution that runs on the provider "${provider}"`,
      got: 'ONNX Runtime gave it to the CPU',
      todo: "check the device's driver, or use the engine onnx:cpu",
      cause,
    });
  if (provider === 'webgpu' && /WebGPU adapter|WebGPU device|No supported adapters/i.test(message)) {
    const { devices, missing } = listDevices('onnx:webgpu', machine);
    const reason = missing?.reason ?? `${devices.map(({ name }) => name).join(', ')}: not accepted`;
    return new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what,
      expected: 'a WebGPU adapter',
      got: `${message.trim().split(': ').at(-1)} (${reason})`,
      todo: missing?.todo ?? 'update the GPU driver, or use the engine onnx:cpu',
      cause,
    });
  }
  return new DeepDefenseError('ENGINE_UNAVAILABLE', {
    what,
    expected: `ONNX Runtime's ${provider} provider with a device`,
    got: message,
    todo: TODO_BY_PROVIDER[provider],
    cause,
  });
}

const TODO_BY_PROVIDER: Readonly<Record<Provider, string>> = {
  cpu: 'run `npm ci` again',
  webgpu: "install or update the GPU's Vulkan driver; onnxruntime-node has this provider on Linux and Windows x64 and on macOS",
  cuda: 'install CUDA 12 and cuDNN 9 where the loader finds them (LD_LIBRARY_PATH)',
  tensorrt: 'install CUDA 12, cuDNN 9 and TensorRT 10 where the loader finds them (LD_LIBRARY_PATH)',
};

/** What a program works on, for advice. */
export interface Workload {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly stableInputs?: readonly string[];
}

const OUT_OF_MEMORY =
  /out of memory|out_of_(device_|host_)?memory|failed to allocate memory|bad_alloc|std::bad_alloc|_ALLOC_FAILED|exceeds the max(imum)? buffer size|larger than the max(imum)? (storage )?buffer/i;

/** A failure of the runtime while it compiles or runs a program. */
export function runtimeError(what: string, cause: unknown, todo: string, workload?: Workload): DeepDefenseError {
  const message = messageOf(cause);
  const advice = OUT_OF_MEMORY.test(message) ? memoryAdvice(workload) : /device (was |is )?lost/i.test(message) ? DEVICE_LOST : todo;
  return new DeepDefenseError('ENGINE_FAILED', { what, got: message.trim(), todo: advice, cause });
}

const DEVICE_LOST =
  'the driver gave the device up, often because one run took too long or memory ran out: try smaller shards (train.shards)';

/** Says which setting makes the program smaller. */
function memoryAdvice(workload: Workload | undefined): string {
  const batched = workload?.inputs.filter(({ name, shape }) => shape.length >= 2 && !workload.stableInputs?.includes(name)) ?? [];
  const samples = Math.max(0, ...batched.map(({ shape }) => shape[0] as number));
  const rest = 'or use a device with more free memory';
  if (samples === 0) return `make train.batchSize / train.shards smaller, ${rest}`;
  if (samples === 1) return `it computes one sample at a time already: use a smaller model, ${rest}`;
  const smaller = Math.floor(samples / 2);
  return workload?.name.startsWith('train/')
    ? `train.batchSize / train.shards is ${samples}; try ${smaller}: train.shards times ${Math.ceil(samples / smaller)} at the same train.batchSize, ${rest}`
    : `evaluation.batchSize is ${samples}; try ${smaller}, ${rest}`;
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
