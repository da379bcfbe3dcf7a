/** @file `auto`: the fastest engine here that computes what the CPU engine computes. */
import { DeepDefenseError, isDeepDefenseError, Random, sizeOf, type TensorValue } from '../core/index.ts';
import { listDevices } from './devices.ts';
import { tf } from './tensorflow.ts';
import type { Engine, EngineName, EngineOptions, Program } from './types.ts';

/** What came of trying one engine. */
export interface EngineTrial {
  readonly engine: EngineName;
  /** Best milliseconds of the self-test; undefined when it was not passed. */
  readonly milliseconds?: number;
  /** Why it can't be chosen. */
  readonly problem?: string;
}

export interface EngineChoice {
  readonly engine: EngineName;
  readonly trials: readonly EngineTrial[];
}

/** Engines that `auto` tries. TensorRT is left out: it compiles for minutes and computes with fewer bits unless told otherwise. */
const CANDIDATES = ['onnx:cpu', 'onnx:cuda', 'tensorflow', 'onnx:webgpu'] as const;
const TIMED_RUNS = 3;
/** Largest difference from the CPU engine, relative to the largest value. */
const TOLERANCE = 1e-3;

type OpenEngine = (options: EngineOptions) => Promise<Engine>;

/**
 * Runs a convolution with ReLU, its gradient and the gradient of that gradient's norm on every engine that has a device here.
 * @throws DeepDefenseError ENGINE_UNAVAILABLE when not even the CPU engine passes, or no engine has the device
 */
export async function chooseEngine(
  options: { readonly threads: number; readonly device: number },
  open: OpenEngine,
): Promise<EngineChoice> {
  const usable = CANDIDATES.filter((name) =>
    listDevices(name).devices.some(({ index }) => index === options.device || name === 'onnx:cpu'),
  );
  if (options.device > 0 && usable.length === 1) {
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: `no engine has a device ${options.device} here`,
      todo: '`deepdefense doctor` lists the devices of each engine; leave engine.device out for the CPU',
    });
  }
  // On most machines there is nothing to choose from.
  if (usable.length === 1) return { engine: 'onnx:cpu', trials: [{ engine: 'onnx:cpu' }] };
  const trials: EngineTrial[] = [];
  let expected: readonly TensorValue[] | undefined;
  for (const engine of usable) {
    try {
      const { milliseconds, values } = await trial(engine, options, open);
      expected ??= values;
      const error = largestError(expected, values);
      if (error <= TOLERANCE) trials.push({ engine, milliseconds });
      else trials.push({ engine, problem: `its results differ from the CPU's by ${error.toPrecision(2)} of the largest value` });
    } catch (error) {
      if (!isDeepDefenseError(error)) throw error;
      trials.push({ engine, problem: error.message });
    }
  }
  const passed = trials.filter((one): one is EngineTrial & { readonly milliseconds: number } => one.milliseconds !== undefined);
  const [fastest] = passed.toSorted((a, b) => a.milliseconds - b.milliseconds);
  if (fastest === undefined) {
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: 'no engine passes its self-test',
      got: trials.map(({ engine, problem }) => `${engine}: ${problem}`).join('; '),
      todo: 'run `deepdefense doctor`',
    });
  }
  return { engine: fastest.engine, trials };
}

async function trial(name: EngineName, { threads, device }: { readonly threads: number; readonly device: number }, open: OpenEngine) {
  const engine = await open({ name, threads, device: name === 'onnx:cpu' ? 0 : device });
  try {
    const compiled = await engine.compile(selfTest);
    const inputs = selfTestInputs();
    let outputs = await compiled.run(inputs);
    let milliseconds = Number.POSITIVE_INFINITY;
    for (let run = 0; run < TIMED_RUNS; run++) {
      const startedMs = performance.now();
      outputs = await compiled.run(inputs);
      milliseconds = Math.min(milliseconds, performance.now() - startedMs);
    }
    return { milliseconds, values: Object.values(outputs) };
  } finally {
    await engine.dispose();
  }
}

/** Largest difference relative to the largest expected value; NaN where a result is NaN. */
function largestError(expected: readonly TensorValue[], got: readonly TensorValue[]): number {
  const errors = expected.map(({ data }, i) => {
    const other = got[i]?.data ?? [];
    let scale = 0;
    let difference = 0;
    for (let j = 0; j < data.length; j++) {
      scale = Math.max(scale, Math.abs(data[j] as number));
      difference = Math.max(difference, Math.abs((data[j] as number) - (other[j] ?? Number.NaN)));
    }
    return difference / scale;
  });
  return Math.max(...errors);
}

/** Large enough that a GPU's start-up per operation doesn't decide. */
const selfTest: Program = {
  name: 'self-test',
  inputs: [
    { name: 'image', shape: [32, 32, 32, 16], dtype: 'float32' },
    { name: 'filter', shape: [3, 3, 16, 32], dtype: 'float32' },
  ],
  build: ({ image, filter }) => {
    const energy = (weights: tf.Tensor): tf.Tensor =>
      tf.mean(tf.square(tf.relu(tf.conv2d(image as tf.Tensor4D, weights as tf.Tensor4D, 1, 'same'))));
    const gradient = tf.grad(energy);
    return {
      energy: energy(filter as tf.Tensor),
      gradient: gradient(filter as tf.Tensor),
      second: tf.grad((weights: tf.Tensor) => tf.sum(tf.square(gradient(weights))))(filter as tf.Tensor),
    };
  },
};

function selfTestInputs(): Record<string, TensorValue> {
  const random = new Random('initialisation', 3);
  return Object.fromEntries(
    selfTest.inputs.map(({ name, shape }) => [
      name,
      { shape, dtype: 'float32' as const, data: Float32Array.from({ length: sizeOf(shape) }, () => random.uniform() - 0.5) },
    ]),
  );
}
