/** @file The arithmetic of a worker: shards of training steps and ranges of evaluations, on one engine. Knows nothing of the network. */
import { fillUniformNoise } from '../attacks/index.ts';
import type { Config } from '../config/index.ts';
import { MODELS, parameterSpecs } from '../config/index.ts';
import { Random, sizeOf, type TensorValue } from '../core/index.ts';
import { type Dataset, fillTrainBatch, SampleOrder } from '../data/index.ts';
import { type CompiledProgram, createEngine, type Engine } from '../engine/index.ts';
import { Evaluator, LabelledBatch, type LayerAlignment } from '../evaluation/index.ts';
import { initialParameters } from '../nn/index.ts';
import { createTrainProgram, type TrainProgram } from '../strategies/index.ts';
import { roundLeaf, type ShardBlock, TreeReducer, VectorPool } from '../wire/index.ts';

/** The sum over one block of shards. */
export interface BlockSum {
  /** [P] float32: sum in the order of the fixed tree of the shards' mean gradients, in the precision of `train.gradients`. Owned by the receiver. */
  readonly gradients: Float32Array;
  /** Sums over the block's shards, in the order of `metricNames`. */
  readonly metricSums: Float64Array;
  readonly computeMs: number;
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
  readonly #noise: TensorValue | undefined;
  readonly #gfaScale: TensorValue = { shape: [], dtype: 'float32', data: new Float32Array(1) };
  #parameters: TensorValue;
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
    const noise = train.program.inputs.find((input) => input.name === 'noise');
    this.#noise = noise && { shape: noise.shape, dtype: 'float32', data: new Float32Array(sizeOf(noise.shape)) };
    const length = parameterSpecs(config.model.name).reduce((sum, spec) => sum + sizeOf(spec.shape), 0);
    this.#parameters = { shape: [length], dtype: 'float32', data: new Float32Array(length) };
    this.#vectors = new VectorPool(length);
  }

  /** Version of the parameters that are set, undefined before the first. */
  get version(): number | undefined {
    return this.#version;
  }

  /** The parameters that the config's seed begins with. */
  initialParameters(): Float32Array {
    const { model, seed } = this.#config;
    return initialParameters(model.name, model.initialisation, seed);
  }

  /** Takes over the parameters of the tasks that follow; `flat` [P] must not be changed afterwards. */
  setParameters(version: number, flat: Float32Array): void {
    this.#parameters = { shape: [flat.length], dtype: 'float32', data: flat };
    this.#version = version;
  }

  /**
   * Shards [first, first + count) of a step.
   * @param firstPosition position of the step's (not the block's) first sample in the sequence of all epochs
   * @param block a node of the fixed tree over the step's shards
   * @param gfaScale warm-up factor in [0,1]
   */
  async trainBlock(step: number, firstPosition: number, block: ShardBlock, gfaScale: number): Promise<BlockSum> {
    const startedMs = performance.now();
    this.#gfaScale.data[0] = gfaScale;
    const length = this.#parameters.data.length;
    const precision = this.#config.train.gradients;
    const reducer = new TreeReducer({
      root: block,
      length,
      metrics: this.metricNames.length,
      precision,
      recycle: (vector) => this.#vectors.give(vector),
    });
    for (let shard = block.first; shard < block.first + block.count; shard++) {
      this.#fillShard(firstPosition + shard * this.#batch.size);
      const { gradients, metrics } = await this.#train.run({
        parameters: this.#parameters,
        image: this.#batch.image,
        target: this.#batch.target,
        gfaScale: this.#gfaScale,
        ...(this.#noise && { noise: this.#noise }),
      });
      if (gradients === undefined || metrics === undefined) throw new Error(`step ${step}: the training program has other outputs`);
      // The reducer adds in place and the sum leaves this thread, so it needs arrays that the engine doesn't share.
      const own = this.#vectors.take();
      own.set(gradients.data);
      roundLeaf(own, precision);
      reducer.add({ first: shard, count: 1 }, own, metrics.data);
    }
    const sum = reducer.sum();
    return { gradients: sum.gradients, metricSums: sum.metricSums, computeMs: performance.now() - startedMs };
  }

  /**
   * Test images [first, first + count), cut at the end of the test set.
   * @param epsLinf radius in [0,1] pixel units; ignored for `clean`
   */
  async evaluate(attack: 'clean' | 'fgsm' | 'pgd', epsLinf: number, first: number, count: number): Promise<EvaluationSum> {
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

  /** Images, targets and noise of the samples from `position` on; they depend on (seed, epoch, sample) only. */
  #fillShard(position: number): void {
    const { seed, data } = this.#config;
    const { size, image, labels } = this.#batch;
    const picks = this.#order.range(position, size);
    fillTrainBatch(this.#dataset.train, picks, { seed, padCrop: data.padCrop, flip: data.flip }, image.data, labels);
    this.#batch.encodeLabels();
    if (this.#noise === undefined) return;
    const noise = this.#noise.data as Float32Array;
    const length = noise.length / size;
    for (const [i, { epoch, sample }] of picks.entries())
      fillUniformNoise(new Random('attack', seed, epoch, sample), noise, i * length, length);
  }
}
