/**
 * @file SGD, Adam and AdamW with PyTorch's formulas (torch.optim), over one flat float32 vector. Each element is computed in float64
 * from float32 state and rounded once when stored; only + - * / and sqrt are used, so every machine gets the same bits.
 */
import type { Config } from '../config/index.ts';
import { DeepDefenseError, sizeOf, type TensorSpec } from '../core/index.ts';

/** What one update did. */
export interface UpdateReport {
  /** Global L2 norm of the gradient before clipping, summed in float64 in schema order. */
  readonly gradientNorm: number;
  /** Factor on the gradient: below 1 when it was clipped. */
  readonly clipFactor: number;
}

/** A named state vector as long as the parameters, float32 in schema order. */
export interface OptimizerSlot {
  readonly name: 'momentum' | 'firstMoment' | 'secondMoment';
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

/** Elements [from, to) of the flat vector, with the weight decay that holds there. */
interface Segment {
  readonly from: number;
  readonly to: number;
  readonly weightDecay: number;
}

/** The optimiser that the config names. Biases (names that end in `.bias`) are not decayed. */
export function createOptimizer(config: Pick<Config, 'optimizer'>, specs: readonly TensorSpec[]): Optimizer {
  const segments = segmentsOf(specs, config.optimizer.weightDecay);
  const length = specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  switch (config.optimizer.name) {
    case 'sgd':
      return new Sgd(config.optimizer, specs, segments, length);
    case 'adam':
      return new Adam('adam', config.optimizer, specs, segments, length);
    case 'adamw':
      return new Adam('adamw', config.optimizer, specs, segments, length);
    default:
      return config.optimizer.name satisfies never;
  }
}

/** What the optimisers share: clipping, the check for finite gradients, and state. */
abstract class BaseOptimizer implements Optimizer {
  abstract readonly name: Settings['name'];
  readonly slots: readonly OptimizerSlot[];
  readonly #specs: readonly TensorSpec[];
  readonly #length: number;
  readonly #clipNorm: number | undefined;
  #updates = 0;

  constructor(slotNames: readonly OptimizerSlot['name'][], settings: Settings, specs: readonly TensorSpec[], length: number) {
    this.#specs = specs;
    this.#length = length;
    this.#clipNorm = settings.gradientClipNorm;
    this.slots = slotNames.map((name) => ({ name, values: new Float32Array(length) }));
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
    const gradientNorm = norm(gradients);
    if (!Number.isFinite(gradientNorm)) throw this.#nonFinite(gradients, gradientNorm);
    // As torch.nn.utils.clip_grad_norm_: the 1e-6 keeps a zero gradient finite.
    const clipFactor = this.#clipNorm === undefined ? 1 : Math.min(1, this.#clipNorm / (gradientNorm + 1e-6));
    this.#updates += 1;
    this.update(parameters, gradients, learningRate, clipFactor, this.#updates);
    return { gradientNorm, clipFactor };
  }

  restore(slots: ReadonlyMap<string, Float32Array>, updates: number): void {
    for (const { name, values } of this.slots) {
      const saved = slots.get(name);
      if (saved?.length !== values.length) {
        throw new DeepDefenseError('CHECKPOINT_CORRUPT', {
          what: `the checkpoint lacks the optimiser's state "${name}"`,
          expected: `${values.length} values`,
          got: saved === undefined ? 'none' : `${saved.length} values`,
          todo: 'use another checkpoint of the run',
        });
      }
    }
    for (const { name, values } of this.slots) values.set(slots.get(name) as Float32Array);
    this.#updates = updates;
  }

  /** @param count number of this update, from 1. */
  protected abstract update(parameters: Float32Array, gradients: Float32Array, learningRate: number, scale: number, count: number): void;

  #nonFinite(gradients: Float32Array, gradientNorm: number): DeepDefenseError {
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
    return new DeepDefenseError('NON_FINITE_LOSS', {
      what: 'the norm of the gradient is not finite',
      got: String(gradientNorm),
      todo: 'lower optimizer.learningRate or strategy.gfa.strength',
    });
  }
}

/** torch.optim.SGD with dampening 0: g += wd p; v = momentum v + g; p -= lr (nesterov ? g + momentum v : v). */
class Sgd extends BaseOptimizer {
  readonly name = 'sgd';
  readonly #settings: Settings;
  readonly #segments: readonly Segment[];

  constructor(settings: Settings, specs: readonly TensorSpec[], segments: readonly Segment[], length: number) {
    super(settings.momentum === 0 ? [] : ['momentum'], settings, specs, length);
    this.#settings = settings;
    this.#segments = segments;
  }

  protected update(parameters: Float32Array, gradients: Float32Array, learningRate: number, scale: number): void {
    const { momentum, nesterov } = this.#settings;
    const velocity = this.slots[0]?.values;
    for (const segment of this.#segments) {
      if (velocity === undefined) updatePlain(parameters, gradients, segment, learningRate, scale);
      else updateMomentum(parameters, gradients, velocity, segment, learningRate, scale, momentum, nesterov);
    }
  }
}

/**
 * torch.optim.Adam (Kingma and Ba 2015; L2 added to the gradient) and torch.optim.AdamW (Loshchilov and Hutter 2019; decay of the
 * parameter by lr wd): m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps).
 */
class Adam extends BaseOptimizer {
  readonly name: 'adam' | 'adamw';
  readonly #settings: Settings;
  readonly #segments: readonly Segment[];

  constructor(name: 'adam' | 'adamw', settings: Settings, specs: readonly TensorSpec[], segments: readonly Segment[], length: number) {
    super(['firstMoment', 'secondMoment'], settings, specs, length);
    this.name = name;
    this.#settings = settings;
    this.#segments = segments;
  }

  protected update(parameters: Float32Array, gradients: Float32Array, learningRate: number, scale: number, count: number): void {
    const { beta1, beta2, epsilon } = this.#settings;
    const [first, second] = this.slots.map(({ values }) => values) as [Float32Array, Float32Array];
    const stepSize = learningRate / (1 - power(beta1, count));
    const correction = Math.sqrt(1 - power(beta2, count));
    for (const segment of this.#segments) {
      const l2 = this.name === 'adam' ? segment.weightDecay : 0;
      const keep = this.name === 'adamw' ? 1 - learningRate * segment.weightDecay : 1;
      updateAdam(parameters, gradients, first, second, segment, { scale, l2, keep, beta1, beta2, stepSize, correction, epsilon });
    }
  }
}

// The loops are functions of their own, so that V8 optimises each of them alone, with nothing but numbers and typed arrays in sight.

function updatePlain(
  parameters: Float32Array,
  gradients: Float32Array,
  { from, to, weightDecay }: Segment,
  learningRate: number,
  scale: number,
): void {
  for (let i = from; i < to; i++) {
    const p = parameters[i] as number;
    parameters[i] = p - learningRate * ((gradients[i] as number) * scale + weightDecay * p);
  }
}

function updateMomentum(
  parameters: Float32Array,
  gradients: Float32Array,
  velocity: Float32Array,
  { from, to, weightDecay }: Segment,
  learningRate: number,
  scale: number,
  momentum: number,
  nesterov: boolean,
): void {
  // Torch's first update sets v = g; with v = 0 before it, momentum v + g is the same.
  for (let i = from; i < to; i++) {
    const p = parameters[i] as number;
    const g = (gradients[i] as number) * scale + weightDecay * p;
    const v = momentum * (velocity[i] as number) + g;
    velocity[i] = v;
    parameters[i] = p - learningRate * (nesterov ? g + momentum * v : v);
  }
}

interface AdamFactors {
  readonly scale: number;
  readonly l2: number;
  readonly keep: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly stepSize: number;
  readonly correction: number;
  readonly epsilon: number;
}

function updateAdam(
  parameters: Float32Array,
  gradients: Float32Array,
  first: Float32Array,
  second: Float32Array,
  { from, to }: Segment,
  { scale, l2, keep, beta1, beta2, stepSize, correction, epsilon }: AdamFactors,
): void {
  const [rest1, rest2] = [1 - beta1, 1 - beta2];
  for (let i = from; i < to; i++) {
    const p = parameters[i] as number;
    const g = (gradients[i] as number) * scale + l2 * p;
    const m = beta1 * (first[i] as number) + rest1 * g;
    const v = beta2 * (second[i] as number) + rest2 * g * g;
    first[i] = m;
    second[i] = v;
    parameters[i] = p * keep - (stepSize * m) / (Math.sqrt(v) / correction + epsilon);
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

function norm(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) * (values[i] as number);
  return Math.sqrt(sum);
}

/** One segment per run of neighbours with equal decay. */
function segmentsOf(specs: readonly TensorSpec[], weightDecay: number): Segment[] {
  const segments: Segment[] = [];
  let from = 0;
  for (const { name, shape } of specs) {
    const to = from + sizeOf(shape);
    segments.push({ from, to, weightDecay: name.endsWith('.bias') ? 0 : weightDecay });
    from = to;
  }
  return segments;
}
