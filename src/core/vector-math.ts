/**
 * @file Arithmetic on flat float32 vectors: what the reduction of gradients and the optimisers need. Two implementations with results
 * equal to the bit: plain loops here, for any vector, and WebAssembly (vector-math-wasm.ts), for vectors in its own memory.
 */
import { roundToBfloat16, widenBfloat16 } from './bfloat16.ts';

/** Elements [from, to) of a vector. */
export interface VectorRange {
  readonly from: number;
  readonly to: number;
}

/** What sums of gradients are rounded to: float32, or the nearest bfloat16 value (ties to even), held as float32. */
export type SumPrecision = 'float32' | 'bfloat16';

/** Bytes that a value takes on the wire. */
export const BYTES_PER_VALUE: Readonly<Record<SumPrecision, number>> = { float32: 4, bfloat16: 2 };

/** Factors of {@link VectorMath.sgd}. */
export interface SgdFactors {
  readonly learningRate: number;
  /** Factor on the gradient, from clipping. */
  readonly scale: number;
  /** L2 decay, added to the gradient. */
  readonly weightDecay: number;
}

/** Factors of {@link VectorMath.momentum}. */
export interface MomentumFactors extends SgdFactors {
  readonly momentum: number;
  readonly nesterov: boolean;
}

/** Factors of {@link VectorMath.adam}. */
export interface AdamFactors {
  /** Factor on the gradient, from clipping. */
  readonly scale: number;
  /** L2 decay, added to the gradient (Adam). */
  readonly l2: number;
  /** Factor on the parameter (AdamW: 1 - learning rate * decay). */
  readonly keep: number;
  readonly beta1: number;
  readonly beta2: number;
  /** Learning rate / (1 - beta1^t). */
  readonly stepSize: number;
  /** sqrt(1 - beta2^t). */
  readonly correction: number;
  readonly epsilon: number;
}

/**
 * Each formula is computed per element in float64 from float32 values, in the order in which it is written, and rounded to float32
 * once where it is stored. So the results are the same bits for every implementation (the payload of a NaN aside).
 * The updates also return `sum` plus the squares of the raw gradients of the range, added one by one in float64: the squared norm of
 * a vector whose ranges are passed through one after the other.
 */
export interface VectorMath {
  /**
   * A vector of zeros that this implementation works on.
   * @throws DeepDefenseError ENGINE_FAILED when its memory is full.
   */
  allocate(elements: number): Float32Array;
  /**
   * target = (((target + addends[0]) + addends[1]) + ...) / divisor, rounded to float32 after each operation.
   * @param addends vectors as long as the target and different from it.
   * @param divisor integer from 1 to 2^24.
   * @param precision `bfloat16`: each sum is rounded to bfloat16 as well; the quotient is not. Default float32.
   */
  accumulate(target: Float32Array, addends: readonly Float32Array[], divisor: number, precision?: SumPrecision): void;
  /** Turns bfloat16 values, which fill the upper half of the vector's bytes, into the float32 values that they stand for. */
  widen(values: Float32Array): void;
  /** True when no value is NaN or infinite. */
  allFinite(values: Float32Array): boolean;
  /** Sum of squares, added one by one in float64. */
  sumOfSquares(values: Float32Array): number;
  /** p -= learningRate * (g * scale + weightDecay * p). */
  sgd(parameters: Float32Array, gradients: Float32Array, range: VectorRange, factors: SgdFactors, sum: number): number;
  /** g' = g * scale + weightDecay * p; v = momentum * v + g'; p -= learningRate * (nesterov ? g' + momentum * v : v), v unrounded. */
  momentum(
    parameters: Float32Array,
    gradients: Float32Array,
    velocity: Float32Array,
    range: VectorRange,
    factors: MomentumFactors,
    sum: number,
  ): number;
  /**
   * g' = g * scale + l2 * p; m = beta1 * m + (1 - beta1) * g'; v = beta2 * v + (1 - beta2) * g' * g';
   * p = p * keep - (stepSize * m) / (sqrt(v) / correction + epsilon), m and v unrounded.
   */
  adam(
    parameters: Float32Array,
    gradients: Float32Array,
    first: Float32Array,
    second: Float32Array,
    range: VectorRange,
    factors: AdamFactors,
    sum: number,
  ): number;
}

/** Loops in JavaScript on vectors of any memory; the reference for the other implementation. */
export const plainVectorMath: VectorMath = {
  allocate: (elements) => new Float32Array(elements),
  accumulate: (target, addends, divisor, precision = 'float32') => {
    for (const addend of addends) {
      addInto(target, addend);
      if (precision === 'bfloat16') roundToBfloat16(target);
    }
    if (divisor !== 1) divideBy(target, divisor);
  },
  widen: widenBfloat16,
  allFinite: (values) => {
    // 0 * v is NaN for NaN and infinity, and NaN stays.
    let zero = 0;
    for (let i = 0; i < values.length; i++) zero += 0 * (values[i] as number);
    return zero === 0;
  },
  sumOfSquares: (values) => sumSquares(values, { from: 0, to: values.length }, 0),
  sgd,
  momentum,
  adam,
};

/** `sum` plus the squares of the range, added one by one in float64. */
export function sumSquares(values: Float32Array, { from, to }: VectorRange, sum: number): number {
  for (let i = from; i < to; i++) sum += (values[i] as number) * (values[i] as number);
  return sum;
}

// The loops are functions of their own, so that V8 optimises each of them alone, with nothing but numbers and typed arrays in sight.

/** The store into a Float32Array rounds the float64 sum, which equals float32 addition (24 * 2 + 2 <= 53 bits). */
function addInto(target: Float32Array, values: Float32Array): void {
  const { length } = target;
  const whole = length - (length % 4);
  // Four at a time: the loop's own work costs as much as an addition.
  for (let i = 0; i < whole; i += 4) {
    target[i] = (target[i] as number) + (values[i] as number);
    target[i + 1] = (target[i + 1] as number) + (values[i + 1] as number);
    target[i + 2] = (target[i + 2] as number) + (values[i + 2] as number);
    target[i + 3] = (target[i + 3] as number) + (values[i + 3] as number);
  }
  for (let i = whole; i < length; i++) target[i] = (target[i] as number) + (values[i] as number);
}

function divideBy(target: Float32Array, divisor: number): void {
  for (let i = 0; i < target.length; i++) target[i] = (target[i] as number) / divisor;
}

function sgd(
  parameters: Float32Array,
  gradients: Float32Array,
  { from, to }: VectorRange,
  { learningRate, scale, weightDecay }: SgdFactors,
  sum: number,
): number {
  for (let i = from; i < to; i++) {
    const p = parameters[i] as number;
    const g = gradients[i] as number;
    sum += g * g;
    parameters[i] = p - learningRate * (g * scale + weightDecay * p);
  }
  return sum;
}

function momentum(
  parameters: Float32Array,
  gradients: Float32Array,
  velocity: Float32Array,
  { from, to }: VectorRange,
  { learningRate, scale, weightDecay, momentum: keep, nesterov }: MomentumFactors,
  sum: number,
): number {
  for (let i = from; i < to; i++) {
    const p = parameters[i] as number;
    const raw = gradients[i] as number;
    sum += raw * raw;
    const g = raw * scale + weightDecay * p;
    const v = keep * (velocity[i] as number) + g;
    velocity[i] = v;
    parameters[i] = p - learningRate * (nesterov ? g + keep * v : v);
  }
  return sum;
}

function adam(
  parameters: Float32Array,
  gradients: Float32Array,
  first: Float32Array,
  second: Float32Array,
  { from, to }: VectorRange,
  { scale, l2, keep, beta1, beta2, stepSize, correction, epsilon }: AdamFactors,
  sum: number,
): number {
  const [rest1, rest2] = [1 - beta1, 1 - beta2];
  for (let i = from; i < to; i++) {
    const p = parameters[i] as number;
    const raw = gradients[i] as number;
    sum += raw * raw;
    const g = raw * scale + l2 * p;
    const m = beta1 * (first[i] as number) + rest1 * g;
    const v = beta2 * (second[i] as number) + rest2 * g * g;
    first[i] = m;
    second[i] = v;
    parameters[i] = p * keep - (stepSize * m) / (Math.sqrt(v) / correction + epsilon);
  }
  return sum;
}
