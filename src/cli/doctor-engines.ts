/** @file Which tensor engines run here, which not and why, and a small program run on each against the other. */
import { ENGINE_NAMES, type EngineName } from '../core/index.ts';
import type { Program, tf as Tensorflow } from '../engine/index.ts';
import type { Check } from './doctor-checks.ts';

const IMAGE = { name: 'image', shape: [2, 8, 8, 3], dtype: 'float32' } as const;
const FILTER = { name: 'filter', shape: [3, 3, 3, 4], dtype: 'float32' } as const;

/** Greatest difference between two engines' results; sums of 27 products of values below 1 differ by less than 1e-6. */
const TOLERANCE = 1e-5;

/** Runs a convolution with its gradient on `onnx:cpu` and on the eager engine and compares. */
export const engineCheck: Check = {
  name: 'engine self-test',
  exit: 'ENGINE',
  async run() {
    const startedMs = performance.now();
    const [captured, eager] = [await runSelfTest('onnx:cpu'), await runSelfTest('eager')];
    const difference = Math.max(...captured.map((value, index) => Math.abs(value - (eager[index] ?? Number.NaN))));
    const tookMs = Math.round(performance.now() - startedMs);
    // The comparison is written so that NaN fails.
    if (!(difference <= TOLERANCE))
      return { state: 'failed', detail: `onnx:cpu and eager differ by ${difference}, more than ${TOLERANCE}` };
    return {
      state: 'ok',
      detail: `a convolution and its gradient agree on onnx:cpu and eager within ${difference.toExponential(1)} (${tookMs} ms)`,
    };
  },
};

async function runSelfTest(name: EngineName): Promise<number[]> {
  const { createEngine } = await import('../engine/index.ts');
  const engine = await createEngine({ name, threads: 1 });
  try {
    const compiled = await engine.compile(await selfTestProgram());
    const outputs = await compiled.run({
      image: { shape: IMAGE.shape, dtype: 'float32', data: ramp(IMAGE.shape) },
      filter: { shape: FILTER.shape, dtype: 'float32', data: ramp(FILTER.shape) },
    });
    return Object.values(outputs).flatMap(({ data }) => [...data]);
  } finally {
    await engine.dispose();
  }
}

async function selfTestProgram(): Promise<Program> {
  const { tf } = await import('../engine/index.ts');
  return {
    name: 'self-test',
    inputs: [IMAGE, FILTER],
    build: ({ image, filter }) => {
      const images = image as Tensorflow.Tensor4D;
      const filters = filter as Tensorflow.Tensor4D;
      const loss = (weights: Tensorflow.Tensor): Tensorflow.Tensor =>
        tf.sum(tf.square(tf.relu(tf.conv2d(images, weights as Tensorflow.Tensor4D, 1, 'same'))));
      return { loss: loss(filters), gradient: tf.grad(loss)(filters) };
    },
  };
}

/** Values in (-0.5, 0.5) without symmetry. */
function ramp(shape: readonly number[]): Float32Array {
  const length = shape.reduce((product, side) => product * side, 1);
  return Float32Array.from({ length }, (_, index) => ((index * 37) % 101) / 101 - 0.5);
}

/** Lists every engine with its devices, or with what to install for it. */
export const enginesCheck: Check = {
  name: 'engines',
  exit: 'ENGINE',
  async run() {
    const { createEngine, listDevices } = await import('../engine/index.ts');
    const engine = await createEngine({ name: 'onnx:cpu', threads: 1 });
    const { fingerprint } = engine;
    await engine.dispose();
    const lines = ENGINE_NAMES.map((name) => {
      const { devices, missing } = listDevices(name);
      if (missing !== undefined) return `${name}: not available: ${missing.reason}; ${missing.todo}`;
      const listed = devices.map(
        ({ index, name: device, driver }) => `${index} = ${device}${driver === undefined ? '' : ` (driver ${driver})`}`,
      );
      return `${name}: ${listed.join(', ')}${NOTES[name] ?? ''}`;
    });
    return { state: 'ok', detail: [`fingerprint of the default: ${fingerprint}`, ...lines].join('\n') };
  },
};

const NOTES: Partial<Record<EngineName, string>> = { 'onnx:cpu': ' (default)', eager: ' (slow, for tests)' };
