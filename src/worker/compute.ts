/** @file The arithmetic of a worker: shards of training steps and ranges of evaluations, on one engine. Knows nothing of the network. */
import { fillNormalNoise, fillUniformNoise } from '../attacks/index.ts';
import type { Config, EvaluationName } from '../config/index.ts';
import { MODELS, parameterSpecs } from '../config/index.ts';
import { DeepDefenseError, isDeepDefenseError, Random, sizeOf, type TensorValue } from '../core/index.ts';
import { type Dataset, fillTrainBatch, SampleOrder } from '../data/index.ts';
import { type CompiledProgram, createEngine, type Engine } from '../engine/index.ts';
import { Evaluator, LabelledBatch, type LayerAlignment } from '../evaluation/index.ts';
import { initialParameters, parameterCount } from '../nn/index.ts';
import { LocalReplica, vectorLength } from '../optimizers/index.ts';
import { createTrainProgram, type TrainProgram } from '../strategies/index.ts';
import { roundLeaf, type ShardBlock, type StepSettings, TreeReducer, VectorPool } from '../wire/index.ts';

/** Inputs of a training step that are random, by name. */
const NOISES = { noise: fillUniformNoise, normalNoise: fillNormalNoise } as const;

/** The sum over one block of shards. */
export interface BlockSum {
  /**
   * [P] float32: sum in the order of the fixed tree of the shards' mean gradients, in the precision of `train.gradients`. With local
   * steps instead the sum of what the shards answer, see {@link LocalReplica}. Owned by the receiver.
   */
  readonly gradients: Float32Array;
  /** Sums over the block's shards, in the order of `metricNames`. */
  readonly metricSums: Float64Array;
  readonly computeMs: number;
}

/** The steps up to the next synchronisation: one, or with local steps several. */
export interface TrainWork {
  /** Steps of the run before the first of these. */
  readonly step: number;
  /** Position of the first step's (not a block's) first sample in the sequence of all epochs. */
  readonly firstPosition: number;
  /** One entry per step. */
  readonly schedule: readonly StepSettings[];
}

export interface EvaluationSum {
  /** One per image: 1 = classified correctly (for attacks: before and after). */
  readonly correct: Uint8Array;
  /** Sum over images of the cross-entropy (after the attack). */
  readonly lossSum: number;
  readonly computeMs: number;
}

/** Computes for one run; calls must not overlap, because buffers are reused. */
export class Computer {
  /** Everything that can change result bits: engine, versions, threads, platform. */
  readonly fingerprint: string;
  readonly metricNames: readonly string[];
  /** Milliseconds of capturing and of compiling the training step. */
  readonly captureMs: number;
  readonly compileMs: number;
  readonly #config: Config;
  readonly #dataset: Dataset;
  readonly #engine: Engine;
  readonly #train: CompiledProgram;
  readonly #evaluator: Evaluator;
  readonly #order: SampleOrder;
  readonly #batch: LabelledBatch;
  /** What the training step asks for, by input name. */
  readonly #noise: Readonly<Record<string, TensorValue>>;
  readonly #gfaScale: TensorValue = { shape: [], dtype: 'float32', data: new Float32Array(1) };
  readonly #replica: LocalReplica | undefined;
  #parameters: TensorValue;
  /** The parameters as they came, with what workers need besides them. */
  #start: Float32Array = new Float32Array(0);
  /** Vectors for the shards' gradients; the one that holds a block's sum leaves with it. */
  readonly #vectors: VectorPool;
  #version: number | undefined;

  /**
   * Opens the engine and compiles the training step for the shard size; evaluation programs are compiled when first used.
   * @param dataset limited to `data.trainSamples` and `data.testSamples` already
   * @throws DeepDefenseError ENGINE_*
   */
  static async create(config: Config, dataset: Dataset): Promise<Computer> {
    const engine = await createEngine(config.engine);
    const train = createTrainProgram(config, config.train.batchSize / config.train.shards);
    const compiled = await engine.compile(train.program);
    return new Computer(config, dataset, engine, train, compiled);
  }

  private constructor(config: Config, dataset: Dataset, engine: Engine, train: TrainProgram, compiled: CompiledProgram) {
    this.#config = config;
    this.#dataset = dataset;
    this.#engine = engine;
    this.#train = compiled;
    this.fingerprint = engine.fingerprint;
    this.metricNames = train.metricNames;
    this.captureMs = compiled.compileMs.capture;
    this.compileMs = compiled.compileMs.session;
    this.#evaluator = new Evaluator(config, engine, dataset.test);
    this.#order = new SampleOrder(config.seed, dataset.train.count);
    this.#batch = new LabelledBatch(config.train.batchSize / config.train.shards, MODELS[config.model.name].classes);
    this.#noise = Object.fromEntries(
      train.program.inputs
        .filter(({ name }) => name in NOISES)
        .map(({ name, shape }) => [name, { shape, dtype: 'float32', data: new Float32Array(sizeOf(shape)) }]),
    );
    const length = parameterCount(config.model);
    this.#parameters = parametersOf(new Float32Array(length), length);
    this.#vectors = new VectorPool(vectorLength(config, length));
    this.#replica = LocalReplica.create(config, parameterSpecs(config.model));
  }

  /** Version of the parameters that are set, undefined before the first. */
  get version(): number | undefined {
    return this.#version;
  }

  /** The parameters that the config's seed begins with; what else travels with parameters is zero. */
  initialParameters(): Float32Array {
    const { model, seed } = this.#config;
    const initial = initialParameters(model, model.initialisation, seed);
    const length = vectorLength(this.#config, initial.length);
    if (length === initial.length) return initial;
    const vector = new Float32Array(length);
    vector.set(initial);
    return vector;
  }

  /** Takes over the parameters of the tasks that follow; `start` [vectorLength] must not be changed afterwards. */
  setParameters(version: number, start: Float32Array): void {
    this.#start = start;
    this.#parameters = parametersOf(start, this.#parameters.data.length);
    this.#version = version;
  }

  /**
   * Shards [first, first + count) of a step, or with local steps of all steps up to the next synchronisation.
   * @param block a node of the fixed tree over the shards
   */
  async trainBlock(work: TrainWork, block: ShardBlock): Promise<BlockSum> {
    const startedMs = performance.now();
    const precision = this.#config.train.gradients;
    const reducer = new TreeReducer({
      root: block,
      length: vectorLength(this.#config, this.#parameters.data.length),
      metrics: this.metricNames.length,
      precision,
      recycle: (vector) => this.#vectors.give(vector),
    });
    for (let shard = block.first; shard < block.first + block.count; shard++) {
      // The reducer adds in place and the sum leaves this thread, so it needs arrays that the engine doesn't share.
      const own = this.#vectors.take();
      const metrics = await (this.#replica === undefined
        ? this.#shardGradient(work, shard, own)
        : this.#shardSteps(this.#replica, work, shard, own));
      roundLeaf(own, precision);
      reducer.add({ first: shard, count: 1 }, own, metrics);
    }
    const sum = reducer.sum();
    return { gradients: sum.gradients, metricSums: sum.metricSums, computeMs: performance.now() - startedMs };
  }

  /**
   * Test images [first, first + count), cut at the end of the test set.
   * @param epsLinf radius in [0,1] pixel units; ignored for `clean`
   */
  async evaluate(attack: EvaluationName, epsLinf: number, first: number, count: number): Promise<EvaluationSum> {
    const startedMs = performance.now();
    const range = { first, count };
    const outcome =
      attack === 'clean'
        ? await this.#evaluator.clean(this.#parameters, range)
        : await this.#evaluator.attacked(this.#parameters, attack, epsLinf, range);
    return { ...outcome, computeMs: performance.now() - startedMs };
  }

  /** Alignment of features and gradients on test images, for the layers of the config's GFA settings. */
  async alignment(first: number, count: number): Promise<LayerAlignment[]> {
    return this.#evaluator.alignment(this.#parameters, { first, count });
  }

  async dispose(): Promise<void> {
    // The engine disposes what it has compiled.
    await this.#engine.dispose();
  }

  /** Writes the gradient of one shard; returns its metrics. */
  async #shardGradient({ firstPosition, schedule }: TrainWork, shard: number, out: Float32Array): Promise<ArrayLike<number>> {
    const [settings] = schedule;
    if (settings === undefined || schedule.length > 1) throw wrongSchedule('one step: the run has no local steps', schedule.length);
    const { gradients, metrics } = await this.#differentiate(this.#parameters, firstPosition + shard * this.#batch.size, settings);
    out.set(gradients);
    return metrics;
  }

  /** Writes the answer of one shard after its local steps; returns the means of its metrics over them. */
  async #shardSteps(
    replica: LocalReplica,
    { step, firstPosition, schedule }: TrainWork,
    shard: number,
    out: Float32Array,
  ): Promise<ArrayLike<number>> {
    const { batchSize } = this.#config.train;
    if (schedule.length === 0) throw wrongSchedule('at least one step', 0);
    const sums = new Float64Array(this.metricNames.length);
    replica.begin(this.#start, step);
    for (const [index, settings] of schedule.entries()) {
      const parameters = parametersOf(replica.parameters, replica.parameters.length);
      const position = firstPosition + index * batchSize + shard * this.#batch.size;
      const { gradients, metrics } = await this.#differentiate(parameters, position, settings);
      for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (metrics[i] as number);
      try {
        replica.update(gradients, settings.learningRate);
      } catch (error) {
        if (!isDeepDefenseError(error) || error.code !== 'NON_FINITE_LOSS') throw error;
        // Divergence is a result of the run, not a fault of this worker: the coordinator ends the run with a diagnosis.
        out.fill(Number.NaN);
        return sums.fill(Number.NaN, 0, 1).map((sum) => sum / (index + 1));
      }
    }
    replica.finish(out);
    return sums.map((sum) => sum / schedule.length);
  }

  async #differentiate(
    parameters: TensorValue,
    position: number,
    { gfaScale }: StepSettings,
  ): Promise<{ readonly gradients: Float32Array; readonly metrics: ArrayLike<number> }> {
    this.#gfaScale.data[0] = gfaScale;
    this.#fillShard(position);
    const { gradients, metrics } = await this.#train.run({
      parameters,
      image: this.#batch.image,
      target: this.#batch.target,
      gfaScale: this.#gfaScale,
      ...this.#noise,
    });
    if (gradients === undefined || metrics === undefined) throw new Error('the training program has other outputs');
    return { gradients: gradients.data as Float32Array, metrics: metrics.data };
  }

  /** Images, targets and noise of the samples from `position` on; they depend on (seed, epoch, sample) only. */
  #fillShard(position: number): void {
    const { seed, data } = this.#config;
    const { size, image, labels } = this.#batch;
    const picks = this.#order.range(position, size);
    fillTrainBatch(this.#dataset.train, picks, { seed, padCrop: data.padCrop, flip: data.flip }, image.data, labels);
    this.#batch.encodeLabels();
    for (const [name, { data: noise }] of Object.entries(this.#noise)) {
      const fill = NOISES[name as keyof typeof NOISES];
      const length = noise.length / size;
      for (const [i, { epoch, sample }] of picks.entries())
        fill(new Random('attack', seed, epoch, sample), noise as Float32Array, i * length, length);
    }
  }
}

/** The first `length` values as the tensor of the parameters; a new one, because an engine keeps what it derived from the one before. */
function parametersOf(values: Float32Array, length: number): TensorValue {
  return { shape: [length], dtype: 'float32', data: values.subarray(0, length) };
}

function wrongSchedule(expected: string, steps: number): DeepDefenseError {
  return new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
    what: 'a training task has the wrong number of steps',
    expected,
    got: String(steps),
    todo: 'install the same version of deepdefense on both sides',
  });
}
