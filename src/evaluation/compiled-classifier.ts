/** @file A network of a run as attacks see it: compiled programs for one batch size, and any number of samples. */
import {
  type AttackLoss,
  type Classifier,
  createAttackGradient,
  createLogitJacobian,
  type Gradients,
  IMAGE_VALUES,
  type LogitGradients,
  type Looks,
  needsExtra,
} from '../attacks/index.ts';
import { type Config, MODELS } from '../config/index.ts';
import type { TensorValue } from '../core/index.ts';
import { IMAGE_SIDE } from '../data/index.ts';
import type { CompiledProgram, Engine, Program, TensorValues } from '../engine/index.ts';
import { createPredict } from './predict.ts';

/**
 * Programs are compiled when first needed. All samples go through batches of one size, the last one padded, because another size could
 * give other bits.
 */
export class CompiledClassifier implements Classifier {
  readonly classes: number;
  readonly batchSize: number;
  readonly #config: Config;
  readonly #engine: Engine;
  readonly #compiled = new Map<ProgramName, Promise<CompiledProgram>>();
  readonly #image: TensorValue & { readonly data: Float32Array };
  readonly #label: TensorValue & { readonly data: Float32Array };
  readonly #extra: TensorValue & { readonly data: Float32Array };
  #parameters: TensorValue | undefined;

  constructor(config: Config, engine: Engine) {
    this.#config = config;
    this.#engine = engine;
    this.classes = MODELS[config.model.name].classes;
    this.batchSize = config.evaluation.attackBatchSize;
    const rows = (...shape: number[]) => ({
      shape: [this.batchSize, ...shape],
      dtype: 'float32' as const,
      data: new Float32Array(this.batchSize * shape.reduce((a, b) => a * b)),
    });
    this.#image = rows(IMAGE_SIDE, IMAGE_SIDE, 3);
    this.#label = rows(this.classes);
    this.#extra = rows(this.classes);
  }

  /** The network's parameters [P] from now on. */
  use(parameters: TensorValue): this {
    this.#parameters = parameters;
    return this;
  }

  async logits({ count, images }: Pick<Looks, 'count' | 'images'>): Promise<Float32Array> {
    const predict = await this.#program('predict');
    const found = await this.#collect(count, images, { logits: this.classes }, () =>
      predict.run({ ...this.#network, image: this.#image, target: this.#label }),
    );
    return found.logits;
  }

  async gradients(loss: AttackLoss, { count, images, labels, targets, noise }: Looks): Promise<Gradients> {
    const program = await this.#program(loss);
    const widths = { logits: this.classes, loss: 1, gradient: IMAGE_VALUES };
    return this.#collect(count, images, widths, (first, here) => {
      encode(this.#label.data, labels, first, here, this.classes);
      if (targets !== undefined) encode(this.#extra.data, targets, first, here, this.classes);
      if (noise !== undefined) this.#extra.data.set(noise.subarray(first * this.classes, (first + here) * this.classes));
      const extra = needsExtra(loss) ? { extra: this.#extra } : {};
      return program.run({ ...this.#network, image: this.#image, label: this.#label, ...extra });
    });
  }

  async logitGradients({ count, images }: Pick<Looks, 'count' | 'images'>): Promise<LogitGradients> {
    const program = await this.#program('jacobian');
    const widths = { logits: this.classes, jacobian: this.classes * IMAGE_VALUES };
    return this.#collect(count, images, widths, () => program.run({ ...this.#network, image: this.#image }));
  }

  get #network(): { readonly parameters: TensorValue } {
    if (this.#parameters === undefined) throw new Error('the classifier has no parameters');
    return { parameters: this.#parameters };
  }

  /**
   * Runs a program on all samples and returns the rows of its outputs, so many values wide; what is beyond the samples in the last batch
   * is whatever was there.
   */
  async #collect<Name extends string>(
    count: number,
    images: Float32Array,
    widths: Readonly<Record<Name, number>>,
    run: (first: number, here: number) => Promise<TensorValues>,
  ): Promise<Record<Name, Float32Array>> {
    const names = Object.keys(widths) as Name[];
    const found = Object.fromEntries(names.map((name) => [name, new Float32Array(0)])) as Record<Name, Float32Array>;
    for (let first = 0; first < count; first += this.batchSize) {
      const here = Math.min(this.batchSize, count - first);
      this.#image.data.set(images.subarray(first * IMAGE_VALUES, (first + here) * IMAGE_VALUES));
      const outputs = await run(first, here);
      for (const name of names) {
        const rows = (outputs[name] as TensorValue).data.subarray(0, here * widths[name]) as Float32Array;
        // Outputs are new arrays of each run: those of a single batch need no copy.
        if (here === count) found[name] = rows;
        else {
          if (first === 0) found[name] = new Float32Array(count * widths[name]);
          found[name].set(rows, first * widths[name]);
        }
      }
    }
    return found;
  }

  #program(name: ProgramName): Promise<CompiledProgram> {
    const known = this.#compiled.get(name);
    if (known !== undefined) return known;
    const compiled = this.#engine.compile(createProgram(name, this.#config, this.batchSize));
    this.#compiled.set(name, compiled);
    return compiled;
  }
}

type ProgramName = AttackLoss | 'predict' | 'jacobian';

function createProgram(name: ProgramName, config: Config, batchSize: number): Program {
  switch (name) {
    case 'predict':
      return createPredict(config, batchSize);
    case 'jacobian':
      return createLogitJacobian(config, batchSize);
    default:
      return createAttackGradient(config, batchSize, name);
  }
}

/** One-hot rows of classes[first, first + count). */
function encode(rows: Float32Array, classes: Int32Array, first: number, count: number, width: number): void {
  rows.fill(0);
  for (let row = 0; row < count; row++) rows[row * width + (classes[first + row] as number)] = 1;
}
