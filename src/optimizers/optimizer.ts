/**
 * @file SGD, Adam and AdamW with PyTorch's formulas (torch.optim), over one flat float32 vector. Each element is computed in float64
 * from float32 state and rounded once when stored; only + - * / and sqrt are used, so every machine gets the same bits. The loops are
 * in src/core/vector-math.ts.
 *
 * Running statistics of batch normalisations are entries of the vector as well. Their gradient is running - batch statistic, and
 * whatever the optimiser, they move by a fixed share of it: docs/adr/0009.
 */
import { BATCH_NORM_RATE, type Config, isRunningStatistic, isRunningVariance } from '../config/index.ts';
import { DeepDefenseError, plainVectorMath, sizeOf, type TensorSpec, type VectorMath, type VectorRange } from '../core/index.ts';
import { rangesOf, type Segment, segmentsOf } from './segments.ts';

/** What one update did. */
export interface UpdateReport {
  /** Global L2 norm of the gradient before clipping, summed in float64 in schema order. */
  readonly gradientNorm: number;
  /** Factor on the gradient: below 1 when it was clipped. */
  readonly clipFactor: number;
}

/** A named state vector as long as the parameters, float32 in schema order. */
export interface OptimizerSlot {
  readonly name: 'momentum' | 'firstMoment' | 'secondMoment' | 'outerMomentum' | 'average';
  readonly values: Float32Array;
}

/** Optimiser of one run. */
export interface Optimizer {
  readonly name: Config['optimizer']['name'];
  /** State that a checkpoint must hold, changed in place by {@link apply}. */
  readonly slots: readonly OptimizerSlot[];
  /** Updates applied so far, those before a resume included. */
  readonly updates: number;
  /**
   * Updates `parameters` in place; `gradients` stays as it is.
   * @param learningRate learning rate of this step, >= 0.
   * @throws DeepDefenseError NON_FINITE_LOSS when the gradient holds NaN or infinity or its norm overflows; nothing is changed then.
   */
  apply(parameters: Float32Array, gradients: Float32Array, learningRate: number): UpdateReport;
  /**
   * Takes over the state of a checkpoint.
   * @throws DeepDefenseError CHECKPOINT_CORRUPT when a slot is missing or has another length.
   */
  restore(slots: ReadonlyMap<string, Float32Array>, updates: number): void;
}

type Settings = Config['optimizer'];

/**
 * The optimiser that the config names. Biases and the parameters of normalisations are not decayed.
 * @param math computes, and allocates the state; parameters and gradients must be such as it works on. Default: plain loops, for any.
 * @param statisticsRate share of its gradient, running - new, by which a running statistic moves.
 */
export function createOptimizer(
  config: Pick<Config, 'optimizer'>,
  specs: readonly TensorSpec[],
  math: VectorMath = plainVectorMath,
  statisticsRate = BATCH_NORM_RATE,
): Optimizer {
  const setup = { settings: config.optimizer, specs, math, statisticsRate };
  switch (config.optimizer.name) {
    case 'sgd':
      return new Sgd(setup);
    case 'adam':
      return new Adam('adam', setup);
    case 'adamw':
      return new Adam('adamw', setup);
    default:
      return config.optimizer.name satisfies never;
  }
}

/**
 * Copies saved state vectors into an optimiser's own.
 * @throws DeepDefenseError CHECKPOINT_CORRUPT when one is missing or has another length; nothing is changed then.
 */
export function restoreSlots(slots: readonly OptimizerSlot[], saved: ReadonlyMap<string, Float32Array>): void {
  for (const { name, values } of slots) {
    const found = saved.get(name);
    if (found?.length !== values.length) {
      throw new DeepDefenseError('CHECKPOINT_CORRUPT', {
        what: `the checkpoint lacks the optimiser's state "${name}"`,
        expected: `${values.length} values`,
        got: found === undefined ? 'none' : `${found.length} values`,
        todo: 'use another checkpoint of the run',
      });
    }
  }
  for (const { name, values } of slots) values.set(saved.get(name) as Float32Array);
}

interface Setup {
  readonly settings: Settings;
  readonly specs: readonly TensorSpec[];
  readonly math: VectorMath;
  readonly statisticsRate: number;
}

/** What the optimisers share: clipping, the check for finite gradients, and state. */
abstract class BaseOptimizer implements Optimizer {
  abstract readonly name: Settings['name'];
  readonly slots: readonly OptimizerSlot[];
  protected readonly math: VectorMath;
  readonly #specs: readonly TensorSpec[];
  readonly #segments: readonly Segment[];
  /** Parts that have a gradient, neighbours joined. */
  readonly #trained: readonly VectorRange[];
  readonly #variances: readonly VectorRange[];
  readonly #statisticsRate: number;
  readonly #length: number;
  readonly #clipNorm: number | undefined;
  #updates = 0;

  constructor(slotNames: readonly OptimizerSlot['name'][], { settings, specs, math, statisticsRate }: Setup) {
    this.math = math;
    this.#specs = specs;
    this.#segments = segmentsOf(specs, settings.weightDecay);
    this.#trained = rangesOf(specs, (name) => !isRunningStatistic(name));
    this.#variances = rangesOf(specs, isRunningVariance);
    this.#statisticsRate = statisticsRate;
    this.#length = specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    this.#clipNorm = settings.gradientClipNorm;
    this.slots = slotNames.map((name) => ({ name, values: math.allocate(this.#length) }));
  }

  get updates(): number {
    return this.#updates;
  }

  apply(parameters: Float32Array, gradients: Float32Array, learningRate: number): UpdateReport {
    if (parameters.length !== this.#length || gradients.length !== this.#length) {
      throw new DeepDefenseError('INTERNAL', {
        what: 'parameters or gradients of another model reached the optimiser',
        expected: `${this.#length} values`,
        got: `${parameters.length} parameters, ${gradients.length} gradients`,
      });
    }
    // Squares of finite float32 values can't overflow a float64 sum, so finite values have a finite norm.
    if (!this.math.allFinite(gradients)) throw this.#nonFinite(gradients);
    this.#updates += 1;
    if (this.#clipNorm !== undefined) {
      const gradientNorm = Math.sqrt(
        this.#trained.reduce((sum, { from, to }) => sum + this.math.sumOfSquares(gradients.subarray(from, to)), 0),
      );
      // As torch.nn.utils.clip_grad_norm_: the 1e-6 keeps a zero gradient finite.
      const clipFactor = Math.min(1, this.#clipNorm / (gradientNorm + 1e-6));
      this.#update(parameters, gradients, learningRate, clipFactor);
      return { gradientNorm, clipFactor };
    }
    return { gradientNorm: Math.sqrt(this.#update(parameters, gradients, learningRate, 1)), clipFactor: 1 };
  }

  restore(slots: ReadonlyMap<string, Float32Array>, updates: number): void {
    restoreSlots(this.slots, slots);
    this.#updates = updates;
  }

  /**
   * Updates one segment.
   * @param count number of this update, from 1.
   * @returns `sum` plus the squares of the segment's raw gradients.
   */
  protected abstract update(
    parameters: Float32Array,
    gradients: Float32Array,
    segment: Segment,
    learningRate: number,
    scale: number,
    count: number,
    sum: number,
  ): number;

  /** Updates all segments; the sum of squares of the gradient, running statistics left out. */
  #update(parameters: Float32Array, gradients: Float32Array, learningRate: number, scale: number): number {
    let sum = 0;
    for (const segment of this.#segments) {
      if (segment.statistics) {
        this.math.sgd(parameters, gradients, segment, { learningRate: this.#statisticsRate, scale: 1, weightDecay: 0 }, 0);
      } else {
        sum = this.update(parameters, gradients, segment, learningRate, scale, this.#updates, sum);
      }
    }
    // A mean of variances can't be negative, but it can come out so from a change rounded to bfloat16 after many local steps.
    for (const { from, to } of this.#variances) for (let i = from; i < to; i++) parameters[i] = Math.max(parameters[i] as number, 0);
    return sum;
  }

  #nonFinite(gradients: Float32Array): DeepDefenseError {
    let from = 0;
    for (const { name, shape } of this.#specs) {
      const to = from + sizeOf(shape);
      const bad = gradients.subarray(from, to).findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) {
        return new DeepDefenseError('NON_FINITE_LOSS', {
          what: `the gradient of "${name}" is not finite`,
          got: `${gradients[from + bad]} at element ${bad} of ${to - from}`,
          todo: 'lower optimizer.learningRate or strategy.gfa.strength, or set optimizer.gradientClipNorm',
          fields: { parameter: name, element: bad },
        });
      }
      from = to;
    }
    return new DeepDefenseError('INTERNAL', { what: 'a gradient was taken for not finite' });
  }
}

/** torch.optim.SGD with dampening 0: g += wd p; v = momentum v + g; p -= lr (nesterov ? g + momentum v : v). */
class Sgd extends BaseOptimizer {
  readonly name = 'sgd';
  readonly #settings: Settings;

  constructor(setup: Setup) {
    super(setup.settings.momentum === 0 ? [] : ['momentum'], setup);
    this.#settings = setup.settings;
  }

  protected update(
    parameters: Float32Array,
    gradients: Float32Array,
    segment: Segment,
    learningRate: number,
    scale: number,
    _count: number,
    sum: number,
  ): number {
    const { momentum, nesterov } = this.#settings;
    const { weightDecay } = segment;
    const velocity = this.slots[0]?.values;
    if (velocity === undefined) return this.math.sgd(parameters, gradients, segment, { learningRate, scale, weightDecay }, sum);
    // Torch's first update sets v = g; with v = 0 before it, momentum v + g is the same.
    return this.math.momentum(parameters, gradients, velocity, segment, { learningRate, scale, weightDecay, momentum, nesterov }, sum);
  }
}

/**
 * torch.optim.Adam (Kingma and Ba 2015; L2 added to the gradient) and torch.optim.AdamW (Loshchilov and Hutter 2019; decay of the
 * parameter by lr wd): m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps).
 */
class Adam extends BaseOptimizer {
  readonly name: 'adam' | 'adamw';
  readonly #settings: Settings;

  constructor(name: 'adam' | 'adamw', setup: Setup) {
    super(['firstMoment', 'secondMoment'], setup);
    this.name = name;
    this.#settings = setup.settings;
  }

  protected update(
    parameters: Float32Array,
    gradients: Float32Array,
    segment: Segment,
    learningRate: number,
    scale: number,
    count: number,
    sum: number,
  ): number {
    const { beta1, beta2, epsilon } = this.#settings;
    const [first, second] = this.slots.map(({ values }) => values) as [Float32Array, Float32Array];
    const l2 = this.name === 'adam' ? segment.weightDecay : 0;
    const keep = this.name === 'adamw' ? 1 - learningRate * segment.weightDecay : 1;
    const stepSize = learningRate / (1 - power(beta1, count));
    const correction = Math.sqrt(1 - power(beta2, count));
    const factors = { scale, l2, keep, beta1, beta2, stepSize, correction, epsilon };
    return this.math.adam(parameters, gradients, first, second, segment, factors, sum);
  }
}

/** base^exponent by repeated squaring: Math.pow's last bits are not specified. */
function power(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}
