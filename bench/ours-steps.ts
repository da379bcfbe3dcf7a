/**
 * @file Our side of bench/run.ts: one compute process on `onnx:cpu` with one thread. A step is what the product does for a
 * batch: the compiled training program over every shard, the fixed reduction tree over their gradients, the optimiser.
 * Speaks the line protocol described in peer/protocol.py.
 */
import { createRequire } from 'node:module';
import { fillUniformNoise } from '../src/attacks/index.ts';
import { parameterSpecs } from '../src/config/index.ts';
import { createOptimizer } from '../src/optimizers/index.ts';
import { Random, type TensorValue } from '../src/core/index.ts';
import { createPredict } from '../src/evaluation/index.ts';
import { type CompiledProgram, createEngine, type Engine } from '../src/engine/index.ts';
import { createTrainProgram } from '../src/strategies/index.ts';
import { sumTree } from '../src/wire/index.ts';
import { readValues } from './inputs.ts';
import { type LineRequest, serveLines } from './line-server.ts';
import { peakMemoryMiB } from './machine.ts';
import { type ModelName, SETTINGS, type TaskName, taskConfig } from './tasks.ts';

const { batchSize, shards, learningRate, seed } = SETTINGS;
const shardSize = batchSize / shards;
const PIXELS = 32 * 32 * 3;
const CLASSES = 10;

interface SetupRequest {
  readonly task: TaskName;
  readonly model: ModelName;
  /** Files of raw little-endian values: float32 [P], float32 [128,32,32,3], int32 [128], float32 [128,32,32,3] in [-1,1]. */
  readonly parameters: string;
  readonly images: string;
  readonly labels: string;
  readonly noise: string;
}

class OurBench {
  readonly #program: CompiledProgram;
  readonly #lossIndex: number;
  readonly #parameters: Float32Array;
  readonly #images: readonly TensorValue[];
  readonly #targets: readonly TensorValue[];
  readonly #givenNoise: readonly TensorValue[];
  readonly #optimizer: ReturnType<typeof createOptimizer>;
  readonly #drawsNoise: boolean;
  #epoch = 0;

  private constructor(program: CompiledProgram, lossIndex: number, drawsNoise: boolean, request: SetupRequest) {
    const config = taskConfig(request.task, request.model);
    this.#program = program;
    this.#lossIndex = lossIndex;
    this.#drawsNoise = drawsNoise;
    this.#parameters = readFloats(request.parameters);
    this.#images = cutIntoShards(readFloats(request.images), [shardSize, 32, 32, 3]);
    this.#targets = cutIntoShards(oneHot(readInts(request.labels)), [shardSize, CLASSES]);
    this.#givenNoise = cutIntoShards(readFloats(request.noise), [shardSize, 32, 32, 3]);
    this.#optimizer = createOptimizer(config, parameterSpecs(config.model));
  }

  static async create(engine: Engine, request: SetupRequest): Promise<OurBench> {
    const { program, metricNames } = createTrainProgram(taskConfig(request.task, request.model), shardSize);
    const drawsNoise = program.inputs.some((input) => input.name === 'noise');
    return new OurBench(await engine.compile(program), metricNames.indexOf('loss'), drawsNoise, request);
  }

  get compileMs(): number {
    return this.#program.compileMs.capture + this.#program.compileMs.session;
  }

  /** Mean loss of the given batch under the given noise and the norm of its gradient; changes nothing. */
  async check(): Promise<{ loss: number; gradientNorm: number }> {
    const { mean, loss } = await this.#gradients(this.#givenNoise);
    return { loss, gradientNorm: Math.sqrt(mean.reduce((sum, value) => sum + value * value, 0)) };
  }

  /** Wall and processor time of one whole step; processor time counts every thread of the process. */
  async step(): Promise<{ ms: number; cpuMs: number }> {
    const begin = performance.now();
    const cpuBegin = process.cpuUsage();
    const { mean } = await this.#gradients(this.#drawsNoise ? this.#drawNoise() : []);
    this.#optimizer.apply(this.#parameters, mean, learningRate);
    const { user, system } = process.cpuUsage(cpuBegin);
    return { ms: performance.now() - begin, cpuMs: (user + system) / 1000 };
  }

  async #gradients(noise: readonly TensorValue[]): Promise<{ mean: Float32Array; loss: number }> {
    const parameters: TensorValue = { shape: [this.#parameters.length], dtype: 'float32', data: this.#parameters };
    const gfaScale: TensorValue = { shape: [], dtype: 'float32', data: Float32Array.of(1) };
    const leaves: Float32Array[] = [];
    let loss = 0;
    for (let shard = 0; shard < shards; shard++) {
      const inputs: Record<string, TensorValue> = {
        parameters,
        image: this.#images[shard] as TensorValue,
        target: this.#targets[shard] as TensorValue,
        gfaScale,
      };
      if (this.#drawsNoise) inputs.noise = noise[shard] as TensorValue;
      const outputs = await this.#program.run(inputs);
      leaves.push(floatsOf(outputs.gradients));
      loss += floatsOf(outputs.metrics)[this.#lossIndex] as number;
    }
    const mean = sumTree(leaves);
    for (let i = 0; i < mean.length; i++) mean[i] = (mean[i] as number) / shards;
    return { mean, loss: loss / shards };
  }

  /** The random starts of a step, one stream per sample as in training. */
  #drawNoise(): TensorValue[] {
    const noise = new Float32Array(batchSize * PIXELS);
    for (let sample = 0; sample < batchSize; sample++) {
      fillUniformNoise(new Random('attack', seed, this.#epoch, sample), noise, sample * PIXELS, PIXELS);
    }
    this.#epoch++;
    return cutIntoShards(noise, [shardSize, 32, 32, 3]);
  }
}

/** Logits, decisions and losses of the whole batch in one graph, as evaluation computes them. */
class InferenceBench implements Pick<OurBench, 'compileMs' | 'check' | 'step'> {
  readonly #program: CompiledProgram;
  readonly #inputs: Readonly<Record<string, TensorValue>>;

  private constructor(program: CompiledProgram, inputs: Readonly<Record<string, TensorValue>>) {
    this.#program = program;
    this.#inputs = inputs;
  }

  static async create(engine: Engine, request: SetupRequest): Promise<InferenceBench> {
    const program = await engine.compile(createPredict(taskConfig(request.task, request.model), batchSize));
    const data = readFloats(request.parameters);
    return new InferenceBench(program, {
      parameters: { shape: [data.length], dtype: 'float32', data },
      image: { shape: [batchSize, 32, 32, 3], dtype: 'float32', data: readFloats(request.images) },
      target: { shape: [batchSize, CLASSES], dtype: 'float32', data: oneHot(readInts(request.labels)) },
    });
  }

  get compileMs(): number {
    return this.#program.compileMs.capture + this.#program.compileMs.session;
  }

  /** Mean loss, and the norm of the logits in the place of a gradient's. */
  async check(): Promise<{ loss: number; gradientNorm: number }> {
    const { loss, logits } = await this.#program.run(this.#inputs);
    const sum = (values: Float32Array, term: (value: number) => number) => values.reduce((total, value) => total + term(value), 0);
    return {
      loss: sum(floatsOf(loss), (value) => value) / batchSize,
      gradientNorm: Math.sqrt(sum(floatsOf(logits), (value) => value * value)),
    };
  }

  async step(): Promise<{ ms: number; cpuMs: number }> {
    const begin = performance.now();
    const cpuBegin = process.cpuUsage();
    await this.#program.run(this.#inputs);
    const { user, system } = process.cpuUsage(cpuBegin);
    return { ms: performance.now() - begin, cpuMs: (user + system) / 1000 };
  }
}

function cutIntoShards(values: Float32Array, shape: readonly number[]): TensorValue[] {
  const length = shape.reduce((product, size) => product * size, 1);
  return Array.from({ length: shards }, (_, shard) => ({
    shape,
    dtype: 'float32',
    data: values.subarray(shard * length, (shard + 1) * length),
  }));
}

function oneHot(labels: Int32Array): Float32Array {
  const targets = new Float32Array(labels.length * CLASSES);
  labels.forEach((label, index) => {
    targets[index * CLASSES + label] = 1;
  });
  return targets;
}

function readFloats(path: string): Float32Array {
  return new Float32Array(readValues(path));
}

function readInts(path: string): Int32Array {
  return new Int32Array(readValues(path));
}

function floatsOf(value: TensorValue | undefined): Float32Array {
  if (!(value?.data instanceof Float32Array)) throw new TypeError('the training program lacks a float32 output');
  return value.data;
}

let bench: OurBench | InferenceBench | undefined;
let engine: Engine | undefined;

function ready(): OurBench | InferenceBench {
  if (bench === undefined) throw new Error('"setup" comes first');
  return bench;
}

async function answer(request: LineRequest): Promise<Record<string, unknown>> {
  switch (request.command) {
    case 'hello': {
      engine = await createEngine({ name: 'onnx:cpu', threads: 1 });
      const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
      return { engine: engine.fingerprint, onnxruntime: version, node: process.versions.node };
    }
    case 'setup': {
      if (engine === undefined) throw new Error('"hello" comes first');
      const setup = request as unknown as SetupRequest;
      bench = await (setup.task === 'inference' ? InferenceBench : OurBench).create(engine, setup);
      return { compileMs: bench.compileMs };
    }
    case 'check':
      return { ...(await ready().check()) };
    case 'step':
      return { ...(await ready().step()) };
    case 'memory':
      return { peakMiB: peakMemoryMiB() };
    default:
      throw new Error(`unknown command "${request.command}"`);
  }
}

await serveLines(answer);
