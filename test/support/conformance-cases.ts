/**
 * @file The conformance table: one row per kernel that can be captured, with inputs that separate right from nearly right, and
 * the program that an engine runs for a row. Every engine's tests go through all rows.
 */
import { Random, type TensorValue } from '../../src/core/index.ts';
import { type Program, tf } from '../../src/engine/index.ts';

type Tensor = ReturnType<typeof tf.zeros>;

export interface ConformanceRow {
  /** Kernel of TensorFlow.js that the row exercises. */
  readonly kernel: string;
  readonly label?: string;
  /** Shapes of the float32 inputs. */
  readonly shapes: readonly (readonly number[])[];
  readonly fn: (...inputs: [Tensor, Tensor, Tensor]) => Tensor;
  /** Range of input values; default [-1, 1]. */
  readonly range?: readonly [number, number];
  /** Derivatives to compare: 0 = forward only, 1 = gradient, 2 = gradient of gradient too (default). */
  readonly order?: 0 | 1;
  /** Why `order` is below 2. */
  readonly because?: string;
  /** Largest error allowed, relative to the largest value; default 2e-5. */
  readonly tolerance?: number;
}

const NO_GRADIENT = { order: 0, because: 'piecewise constant' } as const;
const FLAT_GRADIENT = { order: 1, because: 'its gradient does not depend on the input' } as const;
const float = (x: Tensor): Tensor => tf.cast(x, 'float32');
/** Few distinct values, so that comparisons meet equal ones. */
const coarse = (x: Tensor): Tensor => tf.floor(tf.mul(x, 3));
const image = (x: Tensor) => x as unknown as Parameters<typeof tf.conv2d>[0];
const filter = (x: Tensor) => x as unknown as Parameters<typeof tf.conv2d>[1];
const conv = (x: Tensor, w: Tensor, strides: number, pad: 'same' | 'valid' | number, dilations = 1): Tensor =>
  tf.conv2d(image(x), filter(w), strides, pad, 'NHWC', dilations);
const pool = (x: Tensor, size: number): Tensor => tf.maxPool(image(x), size, size, 'valid');

const unary: ConformanceRow[] = [
  { kernel: 'Relu', shapes: [[3, 4]], fn: (x) => tf.square(tf.relu(x)) },
  { kernel: 'Exp', shapes: [[3, 4]], fn: (x) => tf.exp(x) },
  { kernel: 'Log', shapes: [[3, 4]], fn: (x) => tf.log(x), range: [0.2, 3] },
  { kernel: 'Sqrt', shapes: [[3, 4]], fn: (x) => tf.sqrt(x), range: [0.2, 3] },
  { kernel: 'Rsqrt', shapes: [[3, 4]], fn: (x) => tf.rsqrt(x), range: [0.2, 3] },
  { kernel: 'Neg', shapes: [[3, 4]], fn: (x) => tf.neg(tf.square(x)) },
  { kernel: 'Abs', shapes: [[3, 4]], fn: (x) => tf.abs(x), ...FLAT_GRADIENT },
  { kernel: 'Sign', shapes: [[3, 4]], fn: (x) => tf.sign(x), ...NO_GRADIENT },
  { kernel: 'Floor', shapes: [[3, 4]], fn: (x) => tf.floor(tf.mul(x, 5)), ...NO_GRADIENT },
  { kernel: 'Tanh', shapes: [[3, 4]], fn: (x) => tf.tanh(x) },
  { kernel: 'Sigmoid', shapes: [[3, 4]], fn: (x) => tf.sigmoid(x) },
  { kernel: 'Reciprocal', shapes: [[3, 4]], fn: (x) => tf.reciprocal(x), range: [0.3, 2] },
  { kernel: 'Square', shapes: [[3, 4]], fn: (x) => tf.square(x) },
  { kernel: 'Step', shapes: [[3, 4]], fn: (x) => tf.step(x, 0.3), ...NO_GRADIENT },
  { kernel: 'ClipByValue', shapes: [[3, 4]], fn: (x) => tf.clipByValue(tf.square(x), 0.1, 0.6) },
  { kernel: 'Cast', shapes: [[3, 4]], fn: (x) => float(tf.cast(tf.mul(x, 7), 'int32')), ...NO_GRADIENT },
  { kernel: 'LogicalNot', shapes: [[3, 4]], fn: (x) => float(tf.logicalNot(tf.greater(x, 0.1))), ...NO_GRADIENT },
];

const comparisons = [
  ['Equal', tf.equal],
  ['NotEqual', tf.notEqual],
  ['Greater', tf.greater],
  ['GreaterEqual', tf.greaterEqual],
  ['Less', tf.less],
  ['LessEqual', tf.lessEqual],
] as const;

const binary: ConformanceRow[] = [
  {
    kernel: 'Add',
    shapes: [
      [2, 3, 4],
      [3, 1],
    ],
    fn: (a, b) => tf.square(tf.add(a, b)),
  },
  {
    kernel: 'Sub',
    shapes: [
      [3, 1],
      [2, 3, 4],
    ],
    fn: (a, b) => tf.square(tf.sub(a, b)),
  },
  { kernel: 'Multiply', shapes: [[2, 3, 4], [4]], fn: (a, b) => tf.mul(a, b) },
  {
    kernel: 'RealDiv',
    shapes: [
      [2, 3],
      [2, 1],
    ],
    fn: (a, b) => tf.div(a, b),
    range: [0.3, 2],
  },
  {
    kernel: 'Maximum',
    shapes: [
      [2, 3],
      [2, 3],
    ],
    fn: (a, b) => tf.square(tf.maximum(a, b)),
  },
  {
    kernel: 'Minimum',
    shapes: [
      [2, 3],
      [2, 3],
    ],
    fn: (a, b) => tf.square(tf.minimum(a, b)),
  },
  {
    kernel: 'SquaredDifference',
    shapes: [
      [2, 3],
      [2, 3],
    ],
    fn: (a, b) => tf.squaredDifference(a, b),
  },
  ...comparisons.map(
    ([kernel, compare]): ConformanceRow => ({
      kernel,
      shapes: [[6, 9], [9]],
      fn: (a, b) => float(compare(coarse(a), coarse(b))),
      ...NO_GRADIENT,
    }),
  ),
  { kernel: 'LogicalAnd', shapes: [[9], [9]], fn: (a, b) => float(tf.logicalAnd(tf.greater(a, 0), tf.greater(b, 0))), ...NO_GRADIENT },
  { kernel: 'LogicalOr', shapes: [[9], [9]], fn: (a, b) => float(tf.logicalOr(tf.greater(a, 0), tf.greater(b, 0))), ...NO_GRADIENT },
  {
    kernel: 'Select',
    shapes: [
      [3, 4],
      [3, 4],
    ],
    fn: (a, b) => tf.where(tf.greater(a, 0), tf.square(a), tf.square(b)),
  },
  {
    kernel: 'AddN',
    shapes: [
      [3, 4],
      [3, 4],
      [3, 4],
    ],
    fn: (a, b, c) => tf.square(tf.addN([a, b, c])),
  },
];

const reductions: ConformanceRow[] = [
  { kernel: 'Sum', shapes: [[2, 3, 4]], fn: (x) => tf.square(tf.sum(x, [0, 2])) },
  {
    kernel: 'Sum',
    label: 'of a broadcast',
    shapes: [
      [2, 1, 4],
      [2, 3, 4],
    ],
    fn: (a, b) => tf.square(tf.sum(tf.mul(a, tf.tile(a, [1, 3, 1])), 1)).add(tf.sum(tf.square(b), 1)),
  },
  {
    kernel: 'Sum',
    label: 'behind a convolution',
    shapes: [
      [2, 4, 4, 3],
      [3, 3, 3, 8],
    ],
    fn: (x, w) => tf.square(tf.sum(conv(x, w, 1, 'same'), [1, 3])),
  },
  { kernel: 'Mean', shapes: [[2, 3, 4]], fn: (x) => tf.square(tf.mean(x, 1, true)) },
  { kernel: 'Max', shapes: [[2, 5]], fn: (x) => tf.square(tf.max(x, 1)), tolerance: 1e-4 },
  { kernel: 'Min', shapes: [[2, 5]], fn: (x) => tf.square(tf.min(x, 1)), tolerance: 1e-4 },
  { kernel: 'Softmax', shapes: [[3, 5]], fn: (x) => tf.square(tf.softmax(x)) },
  { kernel: 'Softmax', label: 'its logarithm', shapes: [[3, 5]], fn: (x) => tf.square(tf.logSoftmax(x)) },
  { kernel: 'ArgMax', shapes: [[3, 5]], fn: (x) => float(tf.argMax(x, 1)), ...NO_GRADIENT },
];

const shapes: ConformanceRow[] = [
  { kernel: 'Reshape', shapes: [[2, 3, 4]], fn: (x) => tf.square(tf.reshape(x, [4, 6])) },
  {
    kernel: 'Reshape',
    label: 'behind a convolution',
    shapes: [
      [2, 4, 4, 3],
      [3, 3, 3, 8],
    ],
    fn: (x, w) => tf.square(tf.reshape(conv(x, w, 1, 'same'), [2, 128])),
  },
  { kernel: 'ExpandDims', shapes: [[2, 3]], fn: (x) => tf.square(tf.expandDims(x, 1)) },
  { kernel: 'Identity', shapes: [[2, 3]], fn: (x) => tf.square(tf.clone(x)) },
  { kernel: 'Transpose', shapes: [[2, 3, 4]], fn: (x) => tf.square(tf.transpose(x, [2, 0, 1])) },
  {
    kernel: 'Transpose',
    label: 'with a broadcast',
    shapes: [
      [2, 3, 4],
      [3, 2],
    ],
    fn: (x, y) => tf.mul(tf.transpose(x, [2, 1, 0]), y),
  },
  { kernel: 'Fill', shapes: [[2, 3]], fn: (x) => tf.mul(tf.square(x), tf.fill([2, 3], 2.5)) },
  { kernel: 'ZerosLike', shapes: [[2, 3]], fn: (x) => tf.add(tf.zerosLike(x), tf.square(x)) },
  { kernel: 'OnesLike', shapes: [[2, 3]], fn: (x) => tf.mul(tf.onesLike(x), tf.square(x)) },
  { kernel: 'Tile', shapes: [[2, 3]], fn: (x) => tf.square(tf.tile(x, [2, 3])) },
  { kernel: 'Slice', shapes: [[4, 5]], fn: (x) => tf.square(tf.slice(x, [1, 2], [2, 3])) },
  {
    kernel: 'Slice',
    label: 'behind a convolution',
    shapes: [
      [2, 4, 4, 3],
      [3, 3, 3, 8],
    ],
    fn: (x, w) => tf.square(tf.slice(conv(x, w, 1, 'same'), [0, 1, 0, 3], [2, 2, 4, 5])),
  },
  { kernel: 'SplitV', shapes: [[4, 6]], fn: (x) => tf.mul(...(tf.split(x, 2, 1) as [Tensor, Tensor])) },
  {
    kernel: 'Concat',
    shapes: [
      [2, 3],
      [2, 4],
    ],
    fn: (a, b) => tf.square(tf.concat([a, b], 1)),
  },
  {
    kernel: 'Pack',
    shapes: [
      [2, 3],
      [2, 3],
    ],
    fn: (a, b) => tf.square(tf.stack([a, b], 1)),
  },
  { kernel: 'Unpack', shapes: [[2, 3]], fn: (x) => tf.mul(...(tf.unstack(x, 0) as [Tensor, Tensor])) },
  {
    kernel: 'PadV2',
    shapes: [[2, 3]],
    fn: (x) =>
      tf.square(
        tf.pad(
          x,
          [
            [1, 0],
            [2, 1],
          ],
          0.5,
        ),
      ),
  },
  { kernel: 'Reverse', shapes: [[2, 3]], fn: (x) => tf.mul(tf.reverse(x, [0, 1]), x) },
];

const linear: ConformanceRow[] = [
  {
    kernel: 'BatchMatMul',
    shapes: [
      [3, 4],
      [4, 5],
    ],
    fn: (a, b) => tf.matMul(a, b),
  },
  {
    kernel: 'BatchMatMul',
    label: 'transposed',
    shapes: [
      [4, 3],
      [5, 4],
    ],
    fn: (a, b) => tf.square(tf.matMul(a, b, true, true)),
  },
  {
    kernel: 'BatchMatMul',
    label: 'of a lazy transpose',
    shapes: [
      [4, 3],
      [4, 5],
    ],
    fn: (a, b) => tf.matMul(tf.transpose(a), b),
  },
  {
    kernel: 'BatchMatMul',
    label: 'batched',
    shapes: [
      [2, 3, 4],
      [2, 5, 4],
    ],
    fn: (a, b) => tf.matMul(a, b, false, true),
  },
];

const images: ConformanceRow[] = [
  ...(
    [
      [3, 8],
      [8, 16],
      [5, 7],
    ] as const
  ).flatMap(([inputs, outputs]): ConformanceRow[] => [
    {
      kernel: 'Conv2D',
      label: `${inputs} to ${outputs}`,
      shapes: [
        [8, 6, 5, inputs],
        [3, 3, inputs, outputs],
      ],
      fn: (x, w) => tf.square(conv(x, w, 1, 'same')),
    },
    {
      kernel: 'Conv2DBackpropInput',
      label: `${inputs} to ${outputs}`,
      shapes: [
        [8, 6, 5, inputs],
        [3, 3, inputs, outputs],
      ],
      fn: (x, w) => tf.grad((z: Tensor) => tf.sum(tf.square(tf.tanh(conv(z, w, 1, 'same')))))(x),
    },
    {
      kernel: 'Conv2DBackpropFilter',
      label: `${inputs} to ${outputs}`,
      shapes: [
        [8, 6, 5, inputs],
        [3, 3, inputs, outputs],
      ],
      fn: (x, w) => tf.grad((v: Tensor) => tf.sum(tf.square(conv(x, v, 1, 'same'))))(w),
    },
  ]),
  {
    kernel: 'Conv2D',
    label: 'valid',
    shapes: [
      [2, 6, 5, 3],
      [3, 2, 3, 8],
    ],
    fn: (x, w) => tf.square(conv(x, w, 1, 'valid')),
  },
  {
    kernel: 'Conv2D',
    label: 'strided',
    shapes: [
      [8, 7, 6, 8],
      [3, 3, 8, 8],
    ],
    fn: (x, w) => tf.square(conv(x, w, 2, 'same')),
  },
  {
    kernel: 'Conv2D',
    label: 'strided, an even image padded on all sides',
    shapes: [
      [8, 6, 4, 16],
      [3, 3, 16, 16],
    ],
    fn: (x, w) => tf.square(conv(x, w, 2, 1)),
    tolerance: 5e-5,
  },
  {
    kernel: 'Conv2D',
    label: 'strided one by one',
    shapes: [
      [8, 6, 4, 16],
      [1, 1, 16, 32],
    ],
    fn: (x, w) => tf.square(conv(x, w, 2, 0)),
    tolerance: 5e-5,
  },
  {
    kernel: 'Conv2D',
    label: 'one by one',
    shapes: [
      [2, 4, 4, 8],
      [1, 1, 8, 8],
    ],
    fn: (x, w) => tf.square(conv(x, w, 1, 'valid')),
  },
  { kernel: 'MaxPool', shapes: [[2, 4, 6, 3]], fn: (x) => tf.square(pool(x, 2)) },
  { kernel: 'MaxPool', label: 'with ties behind ReLU', shapes: [[2, 4, 6, 3]], fn: (x) => tf.square(pool(tf.relu(tf.sub(x, 0.7)), 2)) },
  { kernel: 'MaxPoolGrad', shapes: [[2, 4, 6, 3]], fn: (x) => tf.grad((z: Tensor) => tf.sum(tf.square(tf.square(pool(z, 2)))))(x) },
  {
    kernel: 'MaxPoolGradGrad',
    label: 'with ties',
    shapes: [
      [2, 4, 4, 2],
      [2, 2, 2, 2],
    ],
    fn: (x, v) => tf.grad((z: Tensor) => tf.sum(tf.mul(tf.square(pool(tf.relu(z), 2)), v)))(tf.sub(x, 0.7)),
  },
];

/** Operations on what a blocked convolution leaves (channels in blocks of 8 or 16), with every kind of other operand. */
const SIXTEEN: ConformanceRow['shapes'] = [
  [8, 4, 6, 8],
  [3, 3, 8, 16],
];
const inBlocks = (
  kernel: string,
  label: string,
  third: readonly number[] | undefined,
  fn: (y: Tensor, c: Tensor) => Tensor,
): ConformanceRow => ({
  kernel,
  label: `in blocks, ${label}`,
  shapes: third ? [...SIXTEEN, third] : SIXTEEN,
  fn: (x, w, c) => fn(conv(x, w, 1, 'same'), c),
  tolerance: 5e-5,
});
const blocks: ConformanceRow[] = [
  inBlocks('Add', 'bias', [16], (y, b) => tf.square(tf.add(y, b))),
  inBlocks('Add', 'whole operand', [8, 4, 6, 16], (y, c) => tf.square(tf.add(y, c))),
  inBlocks('Relu', 'bias and ReLU, both used', [16], (y, b) => tf.mul(tf.relu(tf.add(y, b)), tf.add(y, b))),
  inBlocks('Relu', 'without bias', undefined, (y) => tf.square(tf.relu(y))),
  inBlocks('Multiply', 'one number per sample', [8, 1, 1, 1], (y, c) => tf.mul(tf.square(y), c)),
  inBlocks('Multiply', 'one number per pixel', [1, 4, 6, 1], (y, c) => tf.mul(tf.square(y), c)),
  inBlocks('Multiply', 'one number per channel', [1, 1, 1, 16], (y, c) => tf.mul(tf.square(y), c)),
  inBlocks('Multiply', 'one number per sample and channel', [8, 1, 1, 16], (y, c) => tf.mul(tf.square(y), c)),
  inBlocks('Multiply', 'matrix of width and channels', [6, 16], (y, c) => tf.mul(tf.square(y), c)),
  inBlocks('Select', 'condition, two branches', [8, 4, 6, 16], (y, c) => tf.where(tf.greater(y, c), tf.square(y), tf.mul(y, c))),
  inBlocks('AddN', 'three', [8, 4, 6, 16], (y, c) => tf.square(tf.addN([y, c, tf.square(y)]))),
  inBlocks('Sum', 'per sample', undefined, (y) => tf.square(tf.sum(y, [1, 2, 3]))),
  inBlocks('Sum', 'per sample, kept', undefined, (y) => tf.mul(y, tf.sum(y, [1, 2, 3], true))),
  inBlocks('Sum', 'per channel', undefined, (y) => tf.square(tf.sum(y, [0, 1, 2]))),
  inBlocks('Sum', 'per sample and channel', undefined, (y) => tf.square(tf.sum(y, [1, 2]))),
  inBlocks('Sum', 'over channels', undefined, (y) => tf.square(tf.sum(y, 3))),
  inBlocks('Mean', 'over everything', undefined, (y) => tf.mul(y, tf.mean(y))),
  inBlocks('Max', 'per pixel', undefined, (y) => tf.square(tf.max(y, [3]))),
  inBlocks('MaxPool', 'after a ReLU, with ties', undefined, (y) => tf.square(pool(tf.relu(y), 2))),
  inBlocks('MaxPoolGrad', 'weighted', [8, 2, 3, 16], (y, c) => tf.mul(tf.square(pool(y, 2)), c)),
  inBlocks('Transpose', 'to channels first and flat', undefined, (y) => tf.square(tf.reshape(tf.transpose(y, [0, 3, 1, 2]), [8, -1]))),
  inBlocks('Concat', 'along channels', [8, 4, 6, 3], (y, c) => tf.square(tf.concat([y, c], 3))),
  inBlocks('Slice', 'pixels', undefined, (y) => tf.square(tf.slice(y, [0, 1, 2, 3], [8, 2, 3, 9]))),
];

export const CONFORMANCE: readonly ConformanceRow[] = [...unary, ...binary, ...reductions, ...shapes, ...linear, ...images, ...blocks];

/** Title of a row's test. */
export const titleOf = ({ kernel, label }: ConformanceRow): string => (label ? `${kernel} ${label}` : kernel);

const names = ['a', 'b', 'c'] as const;

/** A weighted sum, so that every element of the result has its own slope. */
const weighted = (x: Tensor): Tensor => {
  const weights = Float32Array.from({ length: x.size }, (_, i) => 0.3 + ((i * 7) % 11) / 10);
  return tf.sum(tf.mul(tf.reshape(x, [x.size]), tf.tensor1d(weights)));
};
/** Gradients of the weighted sum of `fn` by each input. */
export const gradients = (fn: (...inputs: Tensor[]) => Tensor) => tf.grads((...inputs: Tensor[]) => weighted(fn(...inputs)) as never);

/** The row's function, its gradient and the gradient of a function of that, as one program. */
export function programOf(row: ConformanceRow): Program {
  const order = row.order ?? 2;
  const fn = row.fn as unknown as (...inputs: Tensor[]) => Tensor;
  return {
    name: row.kernel,
    inputs: row.shapes.map((shape, i) => ({ name: names[i] as string, shape, dtype: 'float32' })),
    build: (inputs) => {
      const own = row.shapes.map((_, i) => inputs[names[i] as string] as Tensor);
      const outputs: Record<string, Tensor> = { forward: fn(...own) };
      if (order >= 1) gradients(fn)(own).forEach((gradient, i) => (outputs[`gradient/${names[i]}`] = gradient));
      if (order >= 2) {
        const second = tf.grads((...inner: Tensor[]) => {
          const first = gradients(fn)(inner);
          return tf.addN(first.map((gradient) => weighted(tf.square(gradient)))) as never;
        })(own);
        second.forEach((gradient, i) => (outputs[`second/${names[i]}`] = gradient));
      }
      return outputs;
    },
  };
}

/** The row's inputs by name: the same in every call. */
export function inputsOf(row: ConformanceRow): Record<string, TensorValue> {
  const [low, high] = row.range ?? [-1, 1];
  const random = new Random('initialisation', 11);
  return Object.fromEntries(
    row.shapes.map((shape, i) => {
      const size = shape.reduce((n, length) => n * length, 1);
      return [
        names[i] as string,
        { shape, dtype: 'float32' as const, data: Float32Array.from({ length: size }, () => low + (high - low) * random.uniform()) },
      ];
    }),
  );
}

/** Largest difference, relative to the largest expected value or 1e-3. NaN where a value is NaN. */
export function relativeError(expected: TensorValue, got: TensorValue): number {
  const scale = Math.max(1e-3, ...Array.from(expected.data, Math.abs));
  return Math.max(...Array.from(expected.data, (value, i) => Math.abs(value - (got.data[i] as number)))) / scale;
}
