/**
 * @file The engine `tensorflow`: runs programs operation by operation on libtensorflow, through the optional package
 * @tensorflow/tfjs-node or @tensorflow/tfjs-node-gpu.
 */
import { DeepDefenseError, isDeepDefenseError, PACKAGE_VERSION } from '../core/index.ts';
import { cpuFeatures, cpuModel } from './cpu-features.ts';
import { deviceFingerprint, nvidiaGpus } from './devices.ts';
import { compileEager } from './eager-program.ts';
import { MAX_POOL_GRAD_GRAD, type PoolAttributes } from './missing-gradients.ts';
import { tf } from './tensorflow.ts';
import { type FoundPackage, findPackage, loadPackage, type TensorflowBackend } from './tensorflow-package.ts';
import type { Engine, Program } from './types.ts';

export interface TensorflowOptions {
  /** Intra-op threads of libtensorflow, >= 1. */
  readonly threads: number;
  /** Index of the GPU among those that CUDA shows; 0 on the CPU. */
  readonly device: number;
}

/** What this process has loaded, and with which options: libtensorflow takes them once. */
let loaded: { readonly options: TensorflowOptions; readonly fingerprint: string } | undefined;

/**
 * Opens the engine; the first call loads libtensorflow for the life of the process.
 * @throws DeepDefenseError ENGINE_UNAVAILABLE when neither package can be loaded, the device isn't there, or libtensorflow
 *   would run or runs already with other options
 */
export async function createTensorflowEngine(options: TensorflowOptions): Promise<Engine> {
  loaded ??= load(options);
  if (loaded.options.threads !== options.threads || loaded.options.device !== options.device)
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: 'the engine "tensorflow" takes its options once per process',
      expected: `threads ${loaded.options.threads} and device ${loaded.options.device}, as in its first use`,
      got: `threads ${options.threads} and device ${options.device}`,
      todo: 'use another process',
    });
  return {
    name: 'tensorflow',
    fingerprint: loaded.fingerprint,
    compile: async (program) => compileEager(program, { backend: 'tensorflow', wrapError }),
    dispose: async () => {},
  };
}

function load(options: TensorflowOptions): NonNullable<typeof loaded> {
  const found = findPackage();
  checkDevice(found, options.device);
  // Asked for before CUDA_VISIBLE_DEVICES is narrowed to this device.
  const processor = found.gpu ? deviceFingerprint('cuda', options.device) : cpuModel();
  setEnvironment(found, options);
  const backend = loadPackage(found);
  if (found.gpu && !backend.isUsingGpuDevice)
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: `${found.name} computes on the CPU`,
      expected: 'libtensorflow to find a GPU, with the CUDA and cuDNN libraries that it was built for',
      todo: 'run with TF_CPP_MIN_LOG_LEVEL=0 to see what it misses, or use @tensorflow/tfjs-node',
    });
  registerKernels();
  const fingerprint = [
    `tensorflow ${found.name.slice('@tensorflow/'.length)}-${found.version} libtensorflow-${backend.binding.TF_Version}`,
    `threads=${options.threads} onednn=${process.env.TF_ENABLE_ONEDNN_OPTS ?? 'default'}`,
    // oneDNN chooses by instructions and caches, so the processor's model counts too.
    `${processor} ${process.arch} ${cpuFeatures()} deepdefense-${PACKAGE_VERSION}`,
  ].join(' ');
  return { options, fingerprint };
}

function checkDevice({ name, gpu }: FoundPackage, device: number): void {
  const count = gpu ? (nvidiaGpus()?.length ?? 0) : 1;
  if (device < count) return;
  throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
    what: `the engine "tensorflow" has no device ${device}`,
    expected: gpu ? (count > 0 ? `0 to ${count - 1}, the GPUs that nvidia-smi and CUDA_VISIBLE_DEVICES leave` : 'a GPU') : '0, the CPU',
    got: gpu ? `${count} GPUs for ${name}` : `${name}, which computes on the CPU`,
    todo: gpu ? 'choose another engine.device, or another engine' : 'set engine.device to 0, or install @tensorflow/tfjs-node-gpu',
  });
}

/**
 * Sets what libtensorflow reads from the environment when it starts.
 * @throws DeepDefenseError ENGINE_UNAVAILABLE in a thread whose `process.env` is a copy, where the variables are not set already
 */
function setEnvironment({ gpu }: FoundPackage, { threads, device }: TensorflowOptions): void {
  const { env } = process;
  const wanted: Record<string, string> = {
    TF_NUM_INTRAOP_THREADS: String(threads),
    // Operations run one after another, so a second pool would only wait.
    TF_NUM_INTEROP_THREADS: '1',
    TF_DETERMINISTIC_OPS: '1',
    // Its reports on processor features and devices; errors stay.
    TF_CPP_MIN_LOG_LEVEL: env.TF_CPP_MIN_LOG_LEVEL ?? '2',
  };
  if (gpu) wanted.CUDA_VISIBLE_DEVICES = env.CUDA_VISIBLE_DEVICES?.split(',')[device]?.trim() ?? String(device);
  Object.assign(env, wanted);
  const real = nativeEnvironment();
  const ignored = Object.keys(wanted).filter((name) => real && name !== 'TF_CPP_MIN_LOG_LEVEL' && real[name] !== wanted[name]);
  if (ignored.length === 0) return;
  throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
    what: 'the engine "tensorflow" can\'t set its options in this thread, whose environment is a copy',
    expected: 'a thread made with `env: SHARE_ENV`, or the variables set when the process starts',
    got: ignored.map((name) => `${name}=${real?.[name] ?? ''}`).join(' '),
    todo: `start the process with ${ignored.map((name) => `${name}=${wanted[name]}`).join(' ')}`,
  });
}

/** The environment as libraries see it, undefined where Node.js doesn't tell. `process.env` of a thread is a copy by default. */
function nativeEnvironment(): Readonly<Record<string, string>> | undefined {
  // The types for Node.js 20 lack the property.
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report;
  const { excludeNetwork = false } = report;
  // Otherwise the report looks up the names of open connections.
  report.excludeNetwork = true;
  try {
    return (report.getReport() as { environmentVariables?: Record<string, string> }).environmentVariables;
  } finally {
    report.excludeNetwork = excludeNetwork;
  }
}

function wrapError(program: Program, error: unknown): unknown {
  if (isDeepDefenseError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  const missing = /Kernel '(\w+)' not registered/.exec(message)?.[1];
  if (missing)
    return new DeepDefenseError('ENGINE_UNSUPPORTED_OP', {
      what: `program "${program.name}" uses the operation "${missing}", which the engine "tensorflow" lacks`,
      todo: 'use another engine',
      cause: error,
    });
  return new DeepDefenseError('ENGINE_FAILED', {
    what: `libtensorflow failed in "${program.name}"`,
    got: message,
    todo: 'check free memory; otherwise report this as a bug',
    cause: error,
  });
}

/** libtensorflow has the operation, the package has no kernel for it. */
function registerKernels(): void {
  tf.registerKernel({
    kernelName: MAX_POOL_GRAD_GRAD,
    backendName: 'tensorflow',
    kernelFunc: ({ inputs, backend, attrs }) => {
      const { ddx, input, output } = inputs as { ddx: tf.TensorInfo; input: tf.TensorInfo; output: tf.TensorInfo };
      const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as PoolAttributes;
      const { binding, executeSingleOutput } = backend as unknown as TensorflowBackend;
      const info = tf.backend_util.computePool2DInfo(
        input.shape as [number, number, number, number],
        filterSize,
        strides,
        1,
        pad,
        dimRoundingMode,
      );
      const attributes = [
        { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
        { name: 'ksize', type: binding.TF_ATTR_INT, value: [1, info.filterHeight, info.filterWidth, 1] },
        { name: 'strides', type: binding.TF_ATTR_INT, value: [1, info.strideHeight, info.strideWidth, 1] },
        { name: 'padding', type: binding.TF_ATTR_STRING, value: info.padInfo.type },
        { name: 'data_format', type: binding.TF_ATTR_STRING, value: 'NHWC' },
      ];
      return executeSingleOutput.call(backend, MAX_POOL_GRAD_GRAD, attributes, [input, output, ddx]);
    },
  });
}
