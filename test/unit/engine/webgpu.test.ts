/**
 * @file `onnx:webgpu` against the other engines, on the GPU's Vulkan driver or on SwiftShader, the software driver of Debian's
 * package chromium. Skipped with the reason in the title where there is neither.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAttackStep } from '../../../src/attacks/index.ts';
import { defaultNetwork } from '../../../src/config/index.ts';
import { Random, type TensorValue } from '../../../src/core/index.ts';
import { listDevices, vulkanDrivers } from '../../../src/engine/devices.ts';
import { createEagerEngine } from '../../../src/engine/eager-engine.ts';
import { type Engine, type Program, type TensorValues, tf } from '../../../src/engine/index.ts';
import { createOnnxEngine } from '../../../src/engine/onnx-engine.ts';
import { probeProvider } from '../../../src/engine/onnx-session.ts';
import { createPredict } from '../../../src/evaluation/index.ts';
import { initialParameters } from '../../../src/nn/index.ts';
import { createTrainProgram } from '../../../src/strategies/index.ts';
import { sameBits } from '../../support/bits.ts';
import { smallConfig } from '../../support/configs.ts';
import { CONFORMANCE, inputsOf, programOf, relativeError, titleOf } from '../../support/conformance-cases.ts';
import { maxDifference } from '../../support/golden.ts';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
// The Vulkan loader reads the environment when the first session opens, so this is early enough.
if (!process.env.VK_ICD_FILENAMES && !process.env.VK_DRIVER_FILES && existsSync(SWIFTSHADER)) process.env.VK_ICD_FILENAMES = SWIFTSHADER;
// Mesa's device-select layer complains on stderr where there is no display.
process.env.NODEVICE_SELECT ??= '1';

const missing =
  process.env.DEEPDEFENSE_WEBGPU === 'none'
    ? { reason: 'DEEPDEFENSE_WEBGPU is "none"', todo: 'unset it' }
    : listDevices('onnx:webgpu').missing;
const software = vulkanDrivers().every(({ file }) => file.includes('swiftshader'));
/** Largest error relative to the largest value. GPUs may round functions such as exp more coarsely than a CPU does. */
const TOLERANCE = software ? 2e-5 : 1e-3;

/**
 * Bound on the norm of the difference over the norm, for programs that follow the sign of a gradient: where a component is
 * nearly zero, rounding alone decides its sign, and a pixel moves the other way.
 */
const SIGN_TOLERANCE = 0.05;

const SAMPLES = 2;
const scalar = (value: number): TensorValue => ({ shape: [], dtype: 'float32', data: Float32Array.of(value) });
const images = (seed: number, low: number): TensorValue => {
  const random = new Random('synthetic', seed);
  const data = Float32Array.from({ length: SAMPLES * 3072 }, () => low + (1 - low) * random.uniform());
  return { shape: [SAMPLES, 32, 32, 3], dtype: 'float32', data };
};

/** Every input that a program on images takes. */
function imageInputs(): Record<string, TensorValue> {
  const target = new Float32Array(SAMPLES * 10);
  for (const [i, label] of [0, 3].entries()) target[i * 10 + label] = 1;
  const flat = initialParameters(defaultNetwork('cnn3'), 'he', 2);
  return {
    parameters: { shape: [flat.length], dtype: 'float32', data: flat },
    image: images(5, 0),
    image0: images(5, 0),
    target: { shape: [SAMPLES, 10], dtype: 'float32', data: target },
    gfaScale: scalar(0.5),
    noise: images(6, -1),
    epsLinf: scalar(8 / 255),
    stepSizeLinf: scalar(2 / 255),
  };
}

const trainStep = (name: 'benchmark' | 'first' | 'deep' | 'adversarial'): Program =>
  createTrainProgram(smallConfig('onnx:cpu', { strategy: { name } }), SAMPLES).program;

/** Results of `runs` runs on one session. */
async function runOften(engine: Engine, program: Program, inputs: TensorValues, runs: number): Promise<TensorValues[]> {
  const compiled = await engine.compile(program);
  const results: TensorValues[] = [];
  for (let i = 0; i < runs; i++) results.push(await compiled.run(inputs));
  await compiled.dispose();
  return results;
}

async function runOnce(engine: Engine, program: Program, inputs: TensorValues): Promise<TensorValues> {
  return (await runOften(engine, program, inputs, 1))[0] as TensorValues;
}

/** Largest difference over the largest expected value. For vectors too long for `relativeError`. */
function largestError(expected: Float32Array, got: Float32Array): number {
  return maxDifference(got, expected) / expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-3);
}

function normError(expected: Float32Array, got: Float32Array): number {
  const difference = expected.map((value, i) => value - (got[i] as number));
  return Math.hypot(...norms(difference)) / Math.hypot(...norms(expected));
}

/** Norms of runs of 1000 values, so that no call takes too many arguments. */
function norms(values: Float32Array): number[] {
  return Array.from({ length: Math.ceil(values.length / 1000) }, (_, i) => Math.hypot(...values.subarray(i * 1000, (i + 1) * 1000)));
}

function expectSameBits(a: TensorValues, b: TensorValues): void {
  for (const [name, { data }] of Object.entries(a))
    expect(sameBits(data as Float32Array, b[name]?.data as Float32Array), `${name}: equal bits`).toBe(true);
}

const unlessMissing = describe.skipIf(missing !== undefined);
const title = `onnx:webgpu on ${software ? 'SwiftShader' : 'the GPU'}${missing ? ` (skipped: ${missing.reason}; ${missing.todo})` : ''}`;

unlessMissing(title, () => {
  let cpu: Engine;
  let oracle: Engine;
  let engine: Engine;
  beforeAll(async () => {
    cpu = await createOnnxEngine({ name: 'onnx:cpu', threads: 1 });
    oracle = await createEagerEngine();
    engine = await createOnnxEngine({ name: 'onnx:webgpu', threads: 1 });
  }, 60_000);
  afterAll(async () => {
    await engine?.dispose();
    await cpu?.dispose();
  });

  test('names the driver, the runtime and no blocks in its fingerprint', () => {
    expect(engine.fingerprint).toMatch(/^onnx:webgpu ort-\d+\.\d+\.\d+ device=\S+ threads=1 block=1 /);
    if (software) expect(engine.fingerprint).toMatch(/device=vk_swiftshader_icd\.json\/[0-9a-f]{12} /);
  });

  test.each(CONFORMANCE.map((row) => [titleOf(row), row] as const))('%s', { timeout: 60_000 }, async (_name, row) => {
    const program = programOf(row);
    const inputs = inputsOf(row);
    const expected = await (await oracle.compile(program)).run(inputs);
    const got = await runOnce(engine, program, inputs);
    expect(Object.keys(got)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) {
      expect(got[name]?.shape).toEqual(value.shape);
      const error = relativeError(value, got[name] as TensorValue);
      expect(error, `${name}: largest error relative to the largest value`).toBeLessThan(Math.max(row.tolerance ?? 0, TOLERANCE));
    }
  });

  test('takes uint8 and int32', async () => {
    const program: Program = {
      name: 'integers',
      inputs: [
        { name: 'a', shape: [4], dtype: 'uint8' },
        { name: 'b', shape: [4], dtype: 'int32' },
      ],
      build: ({ a, b }) => ({ y: tf.cast(tf.add(a as never, b as never), 'float32') }),
    };
    const { y } = await runOnce(engine, program, {
      a: { shape: [4], dtype: 'uint8', data: Uint8Array.of(0, 1, 254, 255) },
      b: { shape: [4], dtype: 'int32', data: Int32Array.of(-7, 2, 3, 70_000) },
    });
    expect([...(y as TensorValue).data]).toEqual([-7, 3, 257, 70_255]);
  });

  test.each([
    ['train, benchmark', trainStep('benchmark'), 'largest'],
    ['train, first', trainStep('first'), 'largest'],
    ['train, deep', trainStep('deep'), 'largest'],
    ['train, adversarial', trainStep('adversarial'), 'norm'],
    ['predict', createPredict(smallConfig('onnx:cpu'), SAMPLES), 'largest'],
    ['attack step', createAttackStep(smallConfig('onnx:cpu'), SAMPLES), 'norm'],
  ] as const)('%s: agrees with onnx:cpu and repeats its own bits', { timeout: 120_000 }, async (_name, program, measure) => {
    const all = imageInputs();
    const inputs = Object.fromEntries(program.inputs.map(({ name }) => [name, all[name] as TensorValue]));
    const expected = await runOnce(cpu, program, inputs);
    const [first, second] = (await runOften(engine, program, inputs, 2)) as [TensorValues, TensorValues];
    expectSameBits(first, second);
    for (const [name, value] of Object.entries(expected)) {
      const got = first[name]?.data as Float32Array;
      if (measure === 'norm') expect(normError(value.data as Float32Array, got), `${name}: error of the norm`).toBeLessThan(SIGN_TOLERANCE);
      else expect(largestError(value.data as Float32Array, got), `${name}: largest error`).toBeLessThan(TOLERANCE);
    }
  });

  test('gives the same bits in another engine', { timeout: 120_000 }, async () => {
    const other = await createOnnxEngine({ name: 'onnx:webgpu', threads: 1 });
    expect(other.fingerprint).toBe(engine.fingerprint);
    const [program, inputs] = [trainStep('first'), imageInputs()];
    expectSameBits(await runOnce(engine, program, inputs), await runOnce(other, program, inputs));
    await other.dispose();
  });

  test('refuses a device beyond the only one', async () => {
    await expect(createOnnxEngine({ name: 'onnx:webgpu', threads: 1, device: 1 })).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      parts: { got: 'device 1', todo: expect.stringContaining('VK_ICD_FILENAMES') },
    });
  });

  test('is refused where the runtime gives its work to the CPU', async () => {
    // WebGPU has no Sign.
    const nodes = [{ op: 'Sign', inputs: ['x'], outputs: ['y'] }];
    await expect(probeProvider({ provider: 'webgpu', device: 0, threads: 1 }, nodes)).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      parts: { got: 'ONNX Runtime gave it to the CPU' },
    });
  });
});

const onLinux = process.platform === 'linux' && process.arch === 'x64';
test.skipIf(!onLinux)(
  `onnx:webgpu: says what to install without a driver${onLinux ? '' : ' (skipped: not Linux on x64)'}`,
  { timeout: 60_000 },
  () => {
    // A process of its own: the loader looks for drivers once.
    const script = `
    const { createOnnxEngine } = await import(${JSON.stringify(new URL('../../../src/engine/onnx-engine.ts', import.meta.url).href)});
    await createOnnxEngine({ name: 'onnx:webgpu', threads: 1 }).then(
      () => console.log('{}'),
      (error) => console.log(JSON.stringify(error)),
    );`;
    const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      encoding: 'utf8',
      env: { ...process.env, VK_ICD_FILENAMES: '/nowhere.json', VK_DRIVER_FILES: '' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const error = JSON.parse(output) as Record<string, string>;
    expect(error).toMatchObject({ code: 'ENGINE_UNAVAILABLE', expected: 'a WebGPU adapter' });
    expect(error.got).toMatch(/libvulkan\.so\.1|no Vulkan driver is installed/);
    expect(error.todo).toContain('chromium');
  },
);
