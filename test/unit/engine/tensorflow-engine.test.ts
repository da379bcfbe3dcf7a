/** @file The engine `tensorflow`, where its optional package is there; DEEPDEFENSE_TFJS_NODE names a folder that holds it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ConfigInput, defaultNetwork } from '../../../src/config/index.ts';
import { Random, type TensorValue } from '../../../src/core/index.ts';
import { createEngine, type Engine, type EngineName, type TensorValues, tf } from '../../../src/engine/index.ts';
import { createTensorflowEngine, type TensorflowOptions } from '../../../src/engine/tensorflow-engine.ts';
import { findPackage } from '../../../src/engine/tensorflow-package.ts';
import { initialParameters } from '../../../src/nn/index.ts';
import { createTrainProgram } from '../../../src/strategies/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { CONFORMANCE, inputsOf, programOf, relativeError, titleOf } from '../../support/conformance-cases.ts';
import { valuesOf } from '../../support/engines.ts';
import { maxDifference } from '../../support/golden.ts';

const missing = ((): string | undefined => {
  try {
    findPackage();
    return undefined;
  } catch (error) {
    return (error as Error).message.replaceAll(/\s*\n\s*/g, '; ');
  }
})();
const title = (name: string): string => (missing === undefined ? name : `${name} (skipped: ${missing})`);

describe('findPackage', () => {
  const folder = mkdtempSync(join(tmpdir(), 'deepdefense-tfjs-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const install = (name: string, version: string): void => {
    const path = join(folder, 'node_modules', '@tensorflow', name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'package.json'), JSON.stringify({ name: `@tensorflow/${name}`, version }));
  };
  const find = () => findPackage({ DEEPDEFENSE_TFJS_NODE: folder });

  test('says what to install, then finds the package, the one for GPUs first, and refuses other versions', () => {
    expect(find).toThrow(/tfjs-node-gpu or @tensorflow\/tfjs-node, version 4\.22\.0[\s\S]*build-tfjs-node\.sh/);
    install('tfjs-node', tf.version.tfjs);
    expect(find()).toMatchObject({ name: '@tensorflow/tfjs-node', gpu: false });
    install('tfjs-node-gpu', tf.version.tfjs);
    expect(find()).toMatchObject({ name: '@tensorflow/tfjs-node-gpu', gpu: true });
    install('tfjs-node-gpu', '4.20.0');
    expect(find).toThrow(expect.objectContaining({ code: 'ENGINE_UNAVAILABLE', message: expect.stringContaining('4.20.0') }));
  });
});

describe.skipIf(missing !== undefined)(title('tensorflow against tfjs cpu'), () => {
  let oracle: Engine;
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ name: 'tensorflow', threads: 1 });
    oracle = await createEngine({ name: 'eager', threads: 1 });
  });

  test.each(CONFORMANCE.map((row) => [titleOf(row), row] as const))('%s', async (_name, row) => {
    const program = programOf(row);
    const inputs = inputsOf(row);
    const expected = await (await oracle.compile(program)).run(inputs);
    const got = await (await engine.compile(program)).run(inputs);
    expect(Object.keys(got)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) {
      const values = got[name] as TensorValue;
      expect(values.shape).toEqual(value.shape);
      expect(relativeError(value, values), `${name}: largest error relative to the largest value`).toBeLessThan(row.tolerance ?? 2e-5);
    }
  });
});

const SAMPLES = 2;
const values = (seed: number, shape: readonly number[], low: number): TensorValue => {
  const random = new Random('synthetic', seed);
  const length = shape.reduce((product, side) => product * side, 1);
  return { shape, dtype: 'float32', data: Float32Array.from({ length }, () => low + (1 - low) * random.uniform()) };
};

describe.skipIf(missing !== undefined)(title('tensorflow against onnx:cpu'), () => {
  const parameters = initialParameters(defaultNetwork('cnn3'), 'he', 2);
  const target = new Float32Array(SAMPLES * 10);
  for (const [i, label] of [3, 9].entries()) target[i * 10 + label] = 1;
  const inputs: Record<string, TensorValue> = {
    parameters: { shape: [parameters.length], dtype: 'float32', data: parameters },
    image: values(5, [SAMPLES, 32, 32, 3], 0),
    target: { shape: [SAMPLES, 10], dtype: 'float32', data: target },
    gfaScale: { shape: [], dtype: 'float32', data: Float32Array.of(0.5) },
    noise: values(6, [SAMPLES, 32, 32, 3], -1),
  };
  async function step(name: EngineName, strategy: ConfigInput['strategy']): Promise<TensorValues> {
    const { program } = createTrainProgram(smallConfig(name, { strategy }), SAMPLES);
    const engine = await createEngine({ name, threads: 1 });
    const before = tf.memory().numTensors;
    const outputs = await (await engine.compile(program)).run(inputs);
    expect(tf.memory().numTensors, 'tensors left behind').toBe(before);
    await engine.dispose();
    return outputs;
  }

  test.each<NonNullable<ConfigInput['strategy']>>([
    { name: 'benchmark' },
    { name: 'first' },
    { name: 'deep' },
    // After more steps one gradient at the rounding level had another sign here, on `eager` as well, and so the image was another.
    { name: 'adversarial', adversarial: { steps: 3 } },
  ])('a training step of $name', async (strategy) => {
    const expected = await step('onnx:cpu', strategy);
    const got = await step('tensorflow', strategy);
    for (const output of ['gradients', 'metrics']) {
      const wanted = valuesOf(expected, output);
      const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      // Both add float32 in an order of their own; seen: up to 1.1e-6 of the largest value.
      expect(maxDifference(valuesOf(got, output), wanted) / largest, output).toBeLessThan(1e-5);
      expect(largest).toBeGreaterThan(0.01);
    }
  });
});

describe.skipIf(missing !== undefined)(title('createTensorflowEngine'), () => {
  const open = () => createTensorflowEngine({ threads: 1, device: 0 });

  test('gives equal bits in every run', async () => {
    const row = CONFORMANCE.find(({ kernel }) => kernel === 'Conv2DBackpropFilter') as (typeof CONFORMANCE)[number];
    const program = await (await open()).compile(programOf(row));
    expect(await program.run(inputsOf(row))).toEqual(await program.run(inputsOf(row)));
  });

  test('names in its fingerprint all that can change result bits', async () => {
    const { fingerprint } = await open();
    expect(fingerprint).toMatch(
      /^tensorflow tfjs-node(-gpu)?-4\.22\.0 libtensorflow-2\.\S+ threads=1 onednn=\S+ \S+ \S+ \S+ deepdefense-\S+$/,
    );
  });

  test('takes its options once per process', async () => {
    await open();
    const again = createTensorflowEngine({ threads: 2, device: 0 });
    await expect(again).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE', message: expect.stringContaining('once per process') });
  });

  /** Opens the engine with each of the options in a thread, whose environment is a copy by default; resolves to what came of it. */
  const openInThread = (options: readonly TensorflowOptions[]): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const engine = new URL('../../../src/engine/tensorflow-engine.ts', import.meta.url).href;
      const source = `(async () => {
        (await import('tsx/esm/api')).register();
        const { createTensorflowEngine } = await import('${engine}');
        const results = [];
        for (const options of ${JSON.stringify(options)})
          results.push(await createTensorflowEngine(options).then(({ fingerprint }) => fingerprint, ({ message }) => message));
        require('node:worker_threads').parentPort.postMessage(results);
      })()`;
      const thread = new Worker(source, { eval: true });
      thread.once('message', resolve);
      thread.once('error', reject);
    });

  test('refuses a device that is not there, and options that libtensorflow would not see', async () => {
    const { fingerprint } = await open();
    const [device, threads, variablesSet] = await openInThread([
      { threads: 1, device: 9 },
      { threads: 5, device: 0 },
      { threads: 1, device: 0 },
    ]);
    expect(device).toMatch(/no device 9[\s\S]*expected: 0/);
    expect(threads).toMatch(/SHARE_ENV[\s\S]*got: TF_NUM_INTRAOP_THREADS=1\n[\s\S]*TF_NUM_INTRAOP_THREADS=5/);
    expect(variablesSet).toBe(fingerprint);
  });
});
