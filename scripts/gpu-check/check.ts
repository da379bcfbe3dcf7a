/**
 * @file The program of scripts/gpu-check.sh, bundled into one file: correctness of GPU engines against `onnx:cpu`, equal bits in
 * repeated runs, training speed beside eager PyTorch on the same card, and a short training. Prints tables, writes JSON; exit code 1
 * when a check fails, 6 when no engine could be checked.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { LineProcess } from '../../bench/line-process.ts';
import { describeMachine } from '../../bench/machine.ts';
import { spreadOf } from '../../bench/statistics.ts';
import { SETTINGS, taskConfig, type ModelName, type TaskName } from '../../bench/tasks.ts';
import { defaultNetwork, configSchema } from '../../src/config/index.ts';
import { ENGINE_NAMES, EXIT_CODES, type EngineName, isDeepDefenseError, Random, sizeOf, type TensorValue } from '../../src/core/index.ts';
import { fillTrainBatch, SampleOrder, syntheticDataset } from '../../src/data/index.ts';
import { createEngine, type Engine, listDevices, type Program } from '../../src/engine/index.ts';
import { initialParameters } from '../../src/nn/index.ts';
import { createTrainProgram } from '../../src/strategies/index.ts';
import { CONFORMANCE, inputsOf, programOf, relativeError, titleOf } from '../../test/support/conformance-cases.ts';

const { values: options } = parseArgs({
  options: {
    engines: { type: 'string', default: 'onnx:webgpu,onnx:cuda,onnx:tensorrt,tensorflow' },
    models: { type: 'string', default: 'cnn3,vgg6' },
    batches: { type: 'string', default: '128,512,2048' },
    steps: { type: 'string', default: '10' },
    'training-steps': { type: 'string', default: '120' },
    tolerance: { type: 'string', default: '1e-3' },
    rows: { type: 'string', default: '' },
    python: { type: 'string', default: process.env.DEEPDEFENSE_PEER_PYTHON ?? 'python3' },
    peer: { type: 'string', default: '' },
    out: { type: 'string', default: 'gpu-check.json' },
  },
});

const tolerance = Number(options.tolerance);
const steps = Number(options.steps);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Conformance {
  readonly passed: number;
  readonly failed: readonly { readonly row: string; readonly problem: string }[];
}

async function runOn(engine: Engine, program: Program, inputs: Readonly<Record<string, TensorValue>>) {
  const compiled = await engine.compile(program);
  try {
    return await compiled.run(inputs);
  } finally {
    await compiled.dispose();
  }
}

/** Every row of the conformance table, forward, gradient and second gradient, against the CPU engine. */
async function conformance(engine: Engine, oracle: Engine): Promise<Conformance> {
  const failed: { row: string; problem: string }[] = [];
  const rows = CONFORMANCE.filter((row) => titleOf(row).includes(options.rows));
  for (const row of rows) {
    try {
      const expected = await runOn(oracle, programOf(row), inputsOf(row));
      const got = await runOn(engine, programOf(row), inputsOf(row));
      for (const [name, value] of Object.entries(expected)) {
        const error = relativeError(value, got[name] as TensorValue);
        // NaN must fail.
        if (!(error <= Math.max(tolerance, row.tolerance ?? 0)))
          failed.push({ row: titleOf(row), problem: `${name}: error ${error.toExponential(1)}` });
      }
    } catch (error) {
      failed.push({ row: titleOf(row), problem: error instanceof Error ? error.message : String(error) });
    }
  }
  return { passed: rows.length - new Set(failed.map(({ row }) => row)).size, failed };
}

/** Inputs of a training program: seeded images, labels in turn. */
function trainInputs(program: Program, model: ModelName): Record<string, TensorValue> {
  const random = new Random('initialisation', 5);
  return Object.fromEntries(
    program.inputs.map(({ name, shape }) => {
      const data = name === 'parameters' ? initialParameters(defaultNetwork(model), 'he', 1) : new Float32Array(sizeOf(shape));
      if (name === 'target') for (let row = 0; row < (shape[0] as number); row++) data[row * 10 + (row % 10)] = 1;
      else if (name === 'gfaScale') data.fill(1);
      else if (name !== 'parameters')
        for (let i = 0; i < data.length; i++) data[i] = name === 'noise' ? 2 * random.uniform() - 1 : random.uniform();
      return [name, { shape, dtype: 'float32' as const, data }];
    }),
  );
}

interface StepCheck {
  readonly strategy: string;
  /** Norm of the difference of the gradients over the norm of the CPU's. */
  readonly gradientError: number;
  readonly sameBits: boolean;
  readonly ok: boolean;
}

/** One training step of each strategy against the CPU, and twice on the engine for its bits. */
async function trainingSteps(engine: Engine, oracle: Engine): Promise<StepCheck[]> {
  const checks: StepCheck[] = [];
  for (const strategy of ['benchmark', 'first', 'deep', 'adversarial'] as const) {
    const config = configSchema.parse({ model: { name: 'cnn3' }, strategy: { name: strategy } });
    const { program } = createTrainProgram(config, 8);
    const inputs = trainInputs(program, 'cnn3');
    const expected = (await runOn(oracle, program, inputs)).gradients?.data as Float32Array;
    const first = (await runOn(engine, program, inputs)).gradients?.data as Float32Array;
    const second = (await runOn(engine, program, inputs)).gradients?.data as Float32Array;
    const norm = (values: Iterable<number>): number => Math.sqrt([...values].reduce((sum, value) => sum + value * value, 0));
    const gradientError = norm(expected.map((value, i) => value - (first[i] as number))) / norm(expected);
    // A pixel whose gradient is near zero may get the other sign in an attack's step.
    const limit = strategy === 'adversarial' ? 0.05 : 10 * tolerance;
    checks.push({ strategy, gradientError, sameBits: Buffer.compare(bytesOf(first), bytesOf(second)) === 0, ok: gradientError <= limit });
  }
  return checks;
}

const bytesOf = (values: Float32Array): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

interface Timing {
  readonly task: TaskName;
  readonly model: ModelName;
  readonly batch: number;
  readonly engine: string;
  readonly medianMs?: number;
  readonly samplesPerSecond?: number;
  readonly problem?: string;
}

const spread = (milliseconds: readonly number[], batch: number) => {
  const { median } = spreadOf(milliseconds);
  return { medianMs: median, samplesPerSecond: (batch / median) * 1000 };
};

async function timeOurs(engine: Engine, task: TaskName, model: ModelName, batch: number): Promise<Timing> {
  try {
    const { program } = createTrainProgram(taskConfig(task, model), batch);
    const inputs = trainInputs(program, model);
    const compiled = await engine.compile(program);
    const milliseconds: number[] = [];
    for (let step = -3; step < steps; step++) {
      // New parameters in each step, as in training.
      const parameters = inputs.parameters as TensorValue;
      const startedMs = performance.now();
      await compiled.run({ ...inputs, parameters: { ...parameters } });
      if (step >= 0) milliseconds.push(performance.now() - startedMs);
    }
    await compiled.dispose();
    return { task, model, batch, engine: engine.name, ...spread(milliseconds, batch) };
  } catch (error) {
    return { task, model, batch, engine: engine.name, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** Eager PyTorch on its first CUDA device; the optimiser's update is part of its step. */
async function timePeer(task: TaskName, model: ModelName, batch: number): Promise<Timing> {
  const peer = new LineProcess({ command: options.python, args: [options.peer] });
  try {
    const { gfaWeights, epsLinf, stepSizeLinf, attackSteps, learningRate, momentum } = SETTINGS;
    const hello = await peer.request('hello');
    await peer.request('setup', {
      device: 'cuda',
      task,
      model,
      batch,
      gfaWeights,
      epsLinf,
      stepSizeLinf,
      attackSteps,
      learningRate,
      momentum,
    });
    const milliseconds: number[] = [];
    for (let step = -3; step < steps; step++) {
      const { ms } = (await peer.request('step')) as { ms: number };
      if (step >= 0) milliseconds.push(ms);
    }
    return { task, model, batch, engine: `PyTorch ${String(hello.torch)} eager, cuda`, ...spread(milliseconds, batch) };
  } catch (error) {
    return { task, model, batch, engine: 'PyTorch', problem: error instanceof Error ? error.message : String(error) };
  } finally {
    await peer.close();
  }
}

/** Trains cnn3 on the synthetic set; the loss of the last tenth must be below 0.8 of that of the first. */
async function shortTraining(engine: Engine): Promise<{ readonly first: number; readonly last: number; readonly ok: boolean }> {
  const trainingSteps = Number(options['training-steps']);
  const batch = 64;
  const config = configSchema.parse({ model: { name: 'cnn3' }, strategy: { name: 'deep' }, data: { source: 'synthetic' } });
  const { program, metricNames } = createTrainProgram(config, batch);
  const compiled = await engine.compile(program);
  const { train } = syntheticDataset({ trainCount: 2000, testCount: 10 });
  const order = new SampleOrder(1, train.count);
  const parameters = initialParameters(defaultNetwork('cnn3'), 'he', 1);
  const velocity = new Float32Array(parameters.length);
  const losses: number[] = [];
  for (let step = 0; step < trainingSteps; step++) {
    const image = new Float32Array(batch * 3072);
    const labels = new Int32Array(batch);
    fillTrainBatch(train, order.range(step * batch, batch), { seed: 1, padCrop: 0, flip: false }, image, labels);
    const target = new Float32Array(batch * 10);
    labels.forEach((label, row) => (target[row * 10 + label] = 1));
    const value = (data: Float32Array, shape: number[]): TensorValue => ({ shape, dtype: 'float32', data });
    const { gradients, metrics } = await compiled.run({
      parameters: value(parameters, [parameters.length]),
      image: value(image, [batch, 32, 32, 3]),
      target: value(target, [batch, 10]),
      gfaScale: value(Float32Array.of(0.1), []),
    });
    losses.push(metrics?.data[metricNames.indexOf('lossTerm')] ?? Number.NaN);
    const slope = gradients?.data as Float32Array;
    for (let i = 0; i < parameters.length; i++) {
      velocity[i] = 0.9 * (velocity[i] as number) + (slope[i] as number);
      parameters[i] = (parameters[i] as number) - 0.02 * (velocity[i] as number);
    }
  }
  await compiled.dispose();
  const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;
  const tenth = Math.max(1, Math.floor(trainingSteps / 10));
  const [first, last] = [mean(losses.slice(0, tenth)), mean(losses.slice(-tenth))];
  return { first, last, ok: last < 0.8 * first };
}

function gpuName(): string {
  try {
    return execFileSync('nvidia-smi', ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'], {
      encoding: 'utf8',
    }).trim();
  } catch {
    return 'no nvidia-smi';
  }
}

const report: Record<string, unknown> = { machine: describeMachine(), gpu: gpuName(), node: process.versions.node, tolerance };
const engines: Record<string, unknown> = {};
const timings: Timing[] = [];
const opened: Engine[] = [];
let failures = 0;
const save = (): void => writeFileSync(options.out, `${JSON.stringify({ ...report, engines, timings, failures }, undefined, 2)}\n`);

const oracle = await createEngine({ name: 'onnx:cpu', threads: Math.max(1, describeMachine().processors - 1) });
say(`GPU: ${report.gpu as string}`);
for (const name of options.engines.split(',') as EngineName[]) {
  if (!ENGINE_NAMES.includes(name)) throw new Error(`no engine "${name}"; there are ${ENGINE_NAMES.join(', ')}`);
  const { missing } = listDevices(name);
  let engine: Engine;
  try {
    engine = await createEngine({ name, threads: 1 });
  } catch (error) {
    if (!isDeepDefenseError(error)) throw error;
    engines[name] = { unavailable: error.message };
    say(`${name}: not available: ${missing?.reason ?? error.message}`);
    continue;
  }
  opened.push(engine);
  say(`${name}: ${engine.fingerprint}`);
  const table = await conformance(engine, oracle);
  say(`  conformance: ${table.passed} rows passed, ${table.failed.length} results failed`);
  for (const { row, problem } of table.failed) say(`    ${row}: ${problem}`);
  const trained = await trainingSteps(engine, oracle);
  for (const { strategy, gradientError, sameBits, ok } of trained)
    say(
      `  step ${strategy}: gradient error ${gradientError.toExponential(1)} ${ok ? 'ok' : 'FAILED'}, bits of two runs ${sameBits ? 'equal' : 'DIFFER'}`,
    );
  const training = await shortTraining(engine);
  say(`  training: loss ${training.first.toFixed(3)} to ${training.last.toFixed(3)} ${training.ok ? 'ok' : 'FAILED'}`);
  // Bits that differ between runs are a finding to report, not a failure: cuDNN may choose other algorithms.
  failures += table.failed.length + trained.filter(({ ok }) => !ok).length + Number(!training.ok);
  engines[name] = { fingerprint: engine.fingerprint, conformance: table, trainingSteps: trained, training };
  save();
}

for (const model of options.models.split(',').filter(Boolean) as ModelName[])
  for (const task of ['plain', 'gfa'] as const)
    for (const batch of options.batches.split(',').filter(Boolean).map(Number)) {
      const row = [...(options.peer === '' ? [] : [await timePeer(task, model, batch)])];
      for (const engine of opened) row.push(await timeOurs(engine, task, model, batch));
      timings.push(...row);
      const text = row.map((one) => `${one.engine} ${one.samplesPerSecond?.toFixed(0) ?? `(${one.problem?.split('\n')[0]})`}`);
      say(`${model} ${task} batch ${batch}, samples/s: ${text.join('; ')}`);
      save();
    }

for (const engine of opened) await engine.dispose();
await oracle.dispose();
save();
say(`${opened.length} engines checked, ${failures} failed; ${options.out}`);
process.exit(opened.length === 0 ? EXIT_CODES.ENGINE : failures > 0 ? 1 : 0);
