/** @file Runs clean and attacked evaluations of test images batch by batch on one engine. */
import {
  type Attack,
  ATTACKS,
  type AttackSchedule,
  addScaledNoise,
  createAttackStep,
  fillUniformNoise,
  IMAGE_VALUES,
  type InTrainingAttack,
  sampleRandom,
} from '../attacks/index.ts';
import { type Config, MODELS, resolveGfa } from '../config/index.ts';
import { Random, type TensorValue } from '../core/index.ts';
import { fillTestBatch, type ImageSet } from '../data/index.ts';
import type { CompiledProgram, Engine, TensorValues } from '../engine/index.ts';
import { createAlignmentProbe, type LayerAlignment, meanAlignment } from './alignment-probe.ts';
import { CompiledClassifier } from './compiled-classifier.ts';
import { LabelledBatch } from './labelled-batch.ts';
import { createPredict } from './predict.ts';

/** Images [first, first + count) of a set. */
export interface ImageRange {
  readonly first: number;
  readonly count: number;
}

export interface EvaluationOutcome {
  /** One per image of the range, which is cut at the end of the set: 1 = classified correctly, for an attack both before and after it; 0 = not. */
  readonly correct: Uint8Array;
  /** Sum over images of the cross-entropy (after the attack). */
  readonly lossSum: number;
}

/**
 * Programs are compiled when first needed, for batches of `config.evaluation.batchSize`; a last partial batch is padded with what
 * the buffers hold, and the padding is ignored. Results don't depend on how a range is cut into calls.
 */
export class Evaluator {
  readonly #config: Config;
  readonly #engine: Engine;
  readonly #images: ImageSet;
  readonly #batch: LabelledBatch;
  readonly #compiled = new Map<string, Promise<CompiledProgram>>();
  readonly #classifier: CompiledClassifier;

  /** @param images the test images */
  constructor(config: Config, engine: Engine, images: ImageSet) {
    this.#config = config;
    this.#engine = engine;
    this.#images = images;
    this.#batch = new LabelledBatch(config.evaluation.batchSize, MODELS[config.model.name].classes);
    this.#classifier = new CompiledClassifier(config, engine);
  }

  /** Accuracy and loss on the images as they are. @param parameters [P] */
  async clean(parameters: TensorValue, range: ImageRange): Promise<EvaluationOutcome> {
    const predict = await this.#program('predict');
    return this.#overBatches(range, () => predict.run({ parameters, image: this.#batch.image, target: this.#batch.target }));
  }

  /**
   * Accuracy and loss under an attack; images that are wrong to begin with stay wrong.
   * @param parameters [P]
   * @param epsLinf radius in [0,1] pixel units
   */
  async attacked(parameters: TensorValue, attack: InTrainingAttack, epsLinf: number, range: ImageRange): Promise<EvaluationOutcome> {
    const chosen = ATTACKS[attack](epsLinf);
    return chosen.kind === 'steps'
      ? this.#attackedBySteps(parameters, chosen.schedule, epsLinf, range)
      : this.#attackedBySearch(parameters, chosen.attack, range);
  }

  async #attackedBySteps(
    parameters: TensorValue,
    schedule: AttackSchedule,
    epsLinf: number,
    range: ImageRange,
  ): Promise<EvaluationOutcome> {
    const predict = await this.#program('predict');
    const attackStep = await this.#program('attack-step');
    const { image: image0, target } = this.#batch;
    const eps = scalar(epsLinf);
    const stepSizeLinf = scalar(schedule.stepSizeLinf);
    return this.#overBatches(range, async (first, count) => {
      const before = await predict.run({ parameters, image: image0, target });
      let image = schedule.randomStart ? this.#randomStart(epsLinf, first, count) : image0;
      for (let step = 0; step < schedule.steps; step++) {
        image = output(await attackStep.run({ parameters, image0, image, target, epsLinf: eps, stepSizeLinf }), 'image');
      }
      const after = await predict.run({ parameters, image, target });
      const [was, is] = [output(before, 'correct'), output(after, 'correct')];
      return { ...after, correct: { ...is, data: Int32Array.from(is.data, (value, i) => value * (was.data[i] as number)) } };
    });
  }

  /** The range as a whole, so that samples that are done make room for others in the compiled batches. */
  async #attackedBySearch(parameters: TensorValue, attack: Attack, range: ImageRange): Promise<EvaluationOutcome> {
    const count = Math.max(0, Math.min(range.count, this.#images.count - range.first));
    const samples = { count, images: new Float32Array(count * IMAGE_VALUES), labels: new Int32Array(count) };
    fillTestBatch(this.#images, range.first, count, samples.images, samples.labels);
    const found = await attack(this.#classifier.use(parameters), samples, sampleRandom(this.#config.seed, range.first));
    const clean = await this.clean(parameters, range);
    const predict = await this.#program('predict');
    const after = await this.#overBatches(range, (first, here) => {
      const from = (first - range.first) * IMAGE_VALUES;
      this.#batch.image.data.set(found.subarray(from, from + here * IMAGE_VALUES));
      return predict.run({ parameters, image: this.#batch.image, target: this.#batch.target });
    });
    return { correct: after.correct.map((value, i) => value * (clean.correct[i] as number)), lossSum: after.lossSum };
  }

  /** Alignment between features and gradients, layer by layer. @param parameters [P] */
  async alignment(parameters: TensorValue, range: ImageRange): Promise<LayerAlignment[]> {
    const { layers } = resolveGfa(this.#config);
    const probe = await this.#program('alignment');
    const samples = layers.map((layer) => ({ layer, cosine: [] as number[], gradientNorm: [] as number[], zeroGradient: [] as number[] }));
    const size = this.#batch.size;
    await this.#eachBatch(range, async (_, count) => {
      const result = await probe.run({ parameters, image: this.#batch.image, target: this.#batch.target });
      for (const [row, { cosine, gradientNorm, zeroGradient }] of samples.entries()) {
        const part = (name: string): Iterable<number> => output(result, name).data.subarray(row * size, row * size + count);
        cosine.push(...part('cosine'));
        gradientNorm.push(...part('gradientNorm'));
        zeroGradient.push(...part('zeroGradient'));
      }
    });
    return samples.map(meanAlignment);
  }

  async dispose(): Promise<void> {
    const programs = [...this.#compiled.values()];
    this.#compiled.clear();
    for (const program of programs) await (await program).dispose();
  }

  #program(kind: 'predict' | 'attack-step' | 'alignment'): Promise<CompiledProgram> {
    const known = this.#compiled.get(kind);
    if (known !== undefined) return known;
    const [config, size] = [this.#config, this.#batch.size];
    const build = {
      predict: () => createPredict(config, size),
      'attack-step': () => createAttackStep(config, size),
      alignment: () => createAlignmentProbe(config, size, resolveGfa(config).layers),
    };
    const compiled = this.#engine.compile(build[kind]());
    this.#compiled.set(kind, compiled);
    return compiled;
  }

  /** Calls back with each batch's first image and number of images, after the batch's buffers have been filled. */
  async #eachBatch({ first, count }: ImageRange, visit: (first: number, count: number) => Promise<void>): Promise<void> {
    const end = Math.min(first + count, this.#images.count);
    for (let at = first; at < end; at += this.#batch.size) {
      const here = Math.min(this.#batch.size, end - at);
      fillTestBatch(this.#images, at, here, this.#batch.image.data, this.#batch.labels);
      this.#batch.encodeLabels(here);
      await visit(at, here);
    }
  }

  async #overBatches(range: ImageRange, run: (first: number, count: number) => Promise<TensorValues>): Promise<EvaluationOutcome> {
    const correct = new Uint8Array(Math.max(0, Math.min(range.count, this.#images.count - range.first)));
    let lossSum = 0;
    await this.#eachBatch(range, async (first, count) => {
      const result = await run(first, count);
      correct.set(output(result, 'correct').data.subarray(0, count), first - range.first);
      for (const loss of output(result, 'loss').data.subarray(0, count)) lossSum += loss;
    });
    return { correct, lossSum };
  }

  /** A copy of the batch with noise that depends on (seed, image index) only, so that attacks of all radii share a direction. */
  #randomStart(epsLinf: number, first: number, count: number): TensorValue {
    const { image } = this.#batch;
    const data = Float32Array.from(image.data);
    const length = data.length / this.#batch.size;
    const noise = new Float32Array(length);
    for (let i = 0; i < count; i++) {
      fillUniformNoise(new Random('evaluation', this.#config.seed, first + i), noise, 0, length);
      addScaledNoise(data.subarray(i * length, (i + 1) * length), noise, epsLinf);
    }
    return { ...image, data };
  }
}

function scalar(value: number): TensorValue {
  return { shape: [], dtype: 'float32', data: Float32Array.of(value) };
}

function output(values: TensorValues, name: string): TensorValue {
  const value = values[name];
  if (value === undefined) throw new Error(`a program has no output "${name}"`);
  return value;
}
