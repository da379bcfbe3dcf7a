/** @file The arithmetic of a worker in `deepdefense evaluate`: attacks on test images of several networks. Knows nothing of the network between processes. */
import { sampleRandomOf } from '../attacks/index.ts';
import { type Config, type EvaluationPlan, parseAttackSpec, parameterSpecs } from '../config/index.ts';
import { DeepDefenseError, sizeOf, type TensorValue } from '../core/index.ts';
import type { Dataset } from '../data/index.ts';
import { createEngine, type Engine } from '../engine/index.ts';
import { classifiedCorrectly, CompiledClassifier, diagnose, pickSamples, runAttack } from '../evaluation/index.ts';

/** Test images to attack. */
export interface AttackWork {
  /** Position of the network in the plan. */
  readonly network: number;
  /** As `parseAttackSpec` reads it; empty = no attack. */
  readonly attack: string;
  /** Radius in [0,1] pixel units, of the attack's norm. */
  readonly eps: number;
  /** Indices into the test set. */
  readonly images: readonly number[];
  /** Networks that are tried on the attacked images, too. */
  readonly targets: readonly number[];
}

/** Test images to measure a network on. */
export type DiagnosisWork = Pick<AttackWork, 'network' | 'images'>;

export interface DiagnosisSum {
  /** The measurements as JSON. */
  readonly json: string;
  readonly computeMs: number;
}

export interface AttackSum {
  /** One per image: 1 = classified correctly before and after the attack. */
  readonly correct: Uint8Array;
  /** The same for each target, one behind the other. */
  readonly targetCorrect: Uint8Array;
  /** Of minimum-norm attacks, five per image: L-infinity, L2, L1, mean squared error, L0; NaN where nothing was found. Else empty. */
  readonly distances: Float64Array;
  readonly queries: { readonly forward: number; readonly gradient: number };
  readonly computeMs: number;
}

/** Computes for one evaluation; calls must not overlap, because buffers are reused. */
export class AttackComputer {
  /** See Computer.fingerprint. */
  readonly fingerprint: string;
  /** Programs are compiled when an attack first needs them. */
  readonly metricNames: readonly string[] = [];
  readonly captureMs = 0;
  readonly compileMs = 0;
  readonly #plan: EvaluationPlan;
  readonly #dataset: Dataset;
  readonly #engine: Engine;
  /** Networks with the same programs share one. */
  readonly #classifiers = new Map<string, CompiledClassifier>();
  #parameters: readonly TensorValue[] = [];

  /**
   * Opens the engine.
   * @throws DeepDefenseError ENGINE_*
   */
  static async create(plan: EvaluationPlan, engine: Config['engine'], dataset: Dataset): Promise<AttackComputer> {
    return new AttackComputer(plan, dataset, await createEngine(engine));
  }

  private constructor(plan: EvaluationPlan, dataset: Dataset, engine: Engine) {
    this.#plan = plan;
    this.#dataset = dataset;
    this.#engine = engine;
    this.fingerprint = engine.fingerprint;
  }

  /** The parameters of all networks, one behind the other; must not be changed afterwards. */
  setParameters(_version: number, values: Float32Array): void {
    let from = 0;
    this.#parameters = this.#plan.networks.map(({ model }) => {
      const length = parameterSpecs(model).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
      const data = values.subarray(from, from + length);
      from += length;
      return { shape: [length], dtype: 'float32', data };
    });
  }

  /** Attacks images and judges what came of it. */
  async attack({ network, attack, eps, images, targets }: AttackWork): Promise<AttackSum> {
    const startedMs = performance.now();
    const samples = pickSamples(this.#dataset.test, images);
    const run = await runAttack({
      classifier: this.#classifierOf(network),
      samples,
      indices: images,
      spec: attack === '' ? undefined : parseAttackSpec(attack),
      eps,
      seed: this.#plan.seed,
    });
    const targetCorrect = new Uint8Array(targets.length * images.length);
    for (const [position, target] of targets.entries()) {
      const classifier = this.#classifierOf(target);
      const before = await classifiedCorrectly(classifier, samples);
      const after = await classifiedCorrectly(classifier, { ...samples, images: run.images });
      targetCorrect.set(
        before.map((value, row) => value * (after[row] as number)),
        position * images.length,
      );
    }
    const distances = (run.distances ?? []).flatMap((found) =>
      found === undefined ? Array.from({ length: 5 }, () => Number.NaN) : [found.linf, found.l2, found.l1, found.mse, found.l0],
    );
    return {
      correct: run.correct,
      targetCorrect,
      distances: Float64Array.from(distances),
      queries: run.queries,
      computeMs: performance.now() - startedMs,
    };
  }

  /** Measures what tells robustness from masked gradients. */
  async diagnose({ network, images }: DiagnosisWork): Promise<DiagnosisSum> {
    const startedMs = performance.now();
    const random = sampleRandomOf(this.#plan.seed, images);
    const figures = await diagnose(this.#classifierOf(network), pickSamples(this.#dataset.test, images), { random });
    return { json: JSON.stringify(figures), computeMs: performance.now() - startedMs };
  }

  async dispose(): Promise<void> {
    // The engine disposes what it has compiled.
    await this.#engine.dispose();
  }

  #classifierOf(network: number): CompiledClassifier {
    const config = this.#plan.networks[network];
    const parameters = this.#parameters[network];
    if (config === undefined || parameters === undefined)
      throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
        what: 'a task names a network that the evaluation has not',
        expected: `0..${this.#plan.networks.length - 1}`,
        got: String(network),
      });
    const key = JSON.stringify(config.model);
    let classifier = this.#classifiers.get(key);
    if (classifier === undefined) {
      const { batchSize } = this.#plan;
      classifier = new CompiledClassifier({ ...config, evaluation: { ...config.evaluation, attackBatchSize: batchSize } }, this.#engine);
      this.#classifiers.set(key, classifier);
    }
    return classifier.use(parameters);
  }
}
