/** @file Opens ONNX Runtime sessions and tries out its providers. The only file that imports the runtime. */
// Before the runtime.
import './no-runtime-telemetry.ts';
import * as ort from 'onnxruntime-node';
import { DeepDefenseError, Random, type TensorValue } from '../core/index.ts';
import { encodeOnnxModel, type OnnxNode } from './onnx-proto.ts';
import { checkProvider, executionProviders, runtimeError, type SessionOptions, startError, type Workload } from './onnx-providers.ts';

export type { Provider, SessionOptions } from './onnx-providers.ts';
export type RuntimeTensor = ort.Tensor;
export const RuntimeTensor = ort.Tensor;
export type Session = ort.InferenceSession;

/** A tensor of the runtime over the same memory. */
export const toRuntimeTensor = ({ shape, dtype, data }: TensorValue): RuntimeTensor => new ort.Tensor(dtype, data, [...shape]);

/** Version of the runtime. */
export const RUNTIME_VERSION: string = ort.env.versions.node ?? ort.env.versions.common;

/**
 * Compiles a model.
 * @param workload what the model computes, for advice when memory runs out
 * @throws DeepDefenseError ENGINE_FAILED with the runtime's words
 */
export async function openSession(name: string, model: Uint8Array, options: SessionOptions, workload?: Workload): Promise<Session> {
  try {
    return await createSession(model, options);
  } catch (cause) {
    const todo = 'run `deepdefense doctor`; if it passes, report this as a bug with the message above';
    throw runtimeError(`ONNX Runtime can't compile "${name}"`, cause, todo, workload);
  }
}

function createSession(model: Uint8Array, options: SessionOptions, extra: Readonly<Record<string, string>> = {}): Promise<Session> {
  return ort.InferenceSession.create(model, {
    executionProviders: executionProviders(options),
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    // Gradients that underflow would otherwise slow every multiplication they meet.
    extra: { session: { set_denormal_as_zero: '1', ...extra } },
    ...(options.profilePrefix !== undefined && { enableProfiling: true, profileFilePrefix: options.profilePrefix }),
  });
}

const CHANNELS = 4;
const SIZE = 5;
const IMAGE = [1, CHANNELS, SIZE, SIZE];
const FILTER = [CHANNELS, CHANNELS, 3, 3];
/** Wide enough for TF32, whose mantissa has ten bits. */
const TOLERANCE = 1e-2;
const PROBE: readonly OnnxNode[] = [
  { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } },
  { op: 'Relu', inputs: ['c'], outputs: ['y'] },
];

/**
 * Makes sure that the provider computes, and right: a convolution with ReLU, with the runtime's fallback to the CPU forbidden,
 * must agree with the CPU provider.
 *
 * The session that it returns is for the engine to keep open: ONNX Runtime gives a WebGPU device and its compiled shaders up with
 * the last session, and every program would compile them again.
 * @param nodes what is computed; only tests give another graph of `x` and `w` to `y`, each of the convolution's shape
 * @throws DeepDefenseError ENGINE_UNAVAILABLE saying what is missing
 */
export async function probeProvider(options: SessionOptions, nodes = PROBE): Promise<Session | undefined> {
  checkProvider(options);
  if (options.provider === 'cpu') return undefined;
  const probe = await runProbe(nodes, options, { disable_cpu_ep_fallback: '1' }).catch((cause: unknown) => {
    throw startError(options.provider, cause);
  });
  const reference = await runProbe(nodes, { ...options, provider: 'cpu', device: 0 });
  await reference.session.release();
  const expected = reference.values;
  const error = Math.max(...expected.map((value, i) => Math.abs(value - (probe.values[i] as number))));
  // Not written as error > TOLERANCE, which NaN would pass.
  if (error <= TOLERANCE * Math.max(...expected.map(Math.abs))) return probe.session;
  await probe.session.release();
  throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
    what: `the engine "onnx:${options.provider}" computes something else than the CPU`,
    expected: `a small convolution with an error below ${TOLERANCE} of its largest value`,
    got: `an error of ${error.toPrecision(3)}`,
    todo: "update the device's driver, or use the engine onnx:cpu",
  });
}

async function runProbe(
  nodes: readonly OnnxNode[],
  options: SessionOptions,
  extra: Record<string, string> = {},
): Promise<{ readonly session: Session; readonly values: Float32Array }> {
  const info = (name: string, shape: number[]) => ({ name, type: 'float32' as const, shape });
  const inputs = [info('x', IMAGE), info('w', FILTER)];
  const used = inputs.filter(({ name }) => nodes.some((node) => node.inputs.includes(name)));
  const model = encodeOnnxModel({ name: 'probe', nodes, initializers: [], inputs: used, outputs: [info('y', IMAGE)] });
  const session = await createSession(model, options, extra);
  const random = new Random('initialisation', 0);
  const feeds = used.map(({ name, shape }) => {
    const data = Float32Array.from({ length: shape.reduce((n, length) => n * length, 1) }, () => random.uniform() - 0.5);
    return [name, new RuntimeTensor('float32', data, shape)] as const;
  });
  try {
    const { y } = await session.run(Object.fromEntries(feeds));
    return { session, values: Float32Array.from(y?.data as Float32Array) };
  } catch (cause) {
    await session.release();
    throw cause;
  }
}
