/** @file Reductions and what is built on them. Lazily broadcast dimensions are reduced by arithmetic, not by expanding. */
import { type BlockedView, isBlocked, unblocked } from '../blocks.ts';
import type { Graph, Value } from '../graph.ts';
import { tf } from '../tensorflow.ts';
import { identityOrder, inOrder, plain, type StoredView, stored, uniform, type View } from '../view.ts';
import { blockKernel, kernel } from './register.ts';

interface ReduceAttributes {
  axis?: number | number[] | null;
  reductionIndices?: number | number[] | null;
  keepDims?: boolean;
}

/** Reduces `x` over its logical axes. `repeat` gives the result of reducing n equal values v. */
function reduce(op: string, repeat: (v: number, n: number) => number, scaleOfRepeat: (n: number) => number) {
  return (graph: Graph, { x }: { x: View }, attributes: ReduceAttributes): View => {
    const axes = tf.util.parseAxisParam(attributes.axis ?? attributes.reductionIndices ?? identityOrder(x.shape.length), [...x.shape]);
    const keepDims = attributes.keepDims ?? false;
    const kept = identityOrder(x.shape.length).filter((axis) => !axes.includes(axis));
    const shape = keepDims
      ? x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length))
      : kept.map((axis) => x.shape[axis] as number);
    const count = axes.reduce((n, axis) => n * (x.shape[axis] as number), 1);
    if (x.kind === 'uniform') return uniform(Math.fround(repeat(x.fill, count)), shape, x.type);
    if (isBlocked(x)) {
      const value = reduceBlocks(graph, op, x, axes);
      if (value) return plain(graph.reshape(value, shape), x.type);
    }
    const from = unblocked(graph, x) as StoredView;
    const positions = axes.map((axis) => from.order.indexOf(axis)).sort((a, b) => a - b);
    const real = positions.filter((p) => (from.value.shape[p] as number) > 1);
    const lazyCount = count / real.reduce((n, p) => n * (from.value.shape[p] as number), 1);
    const keptPhysical = from.value.shape.map((length, p) => (positions.includes(p) ? 1 : length));
    let value = from.value;
    if (real.length > 0) value = graph.add(op, [value, graph.integers(real)], keptPhysical, x.type, { attributes: { keepdims: 1 } });
    const factor = scaleOfRepeat(lazyCount);
    if (factor !== 1) value = graph.add('Mul', [value, graph.scalar(factor, x.type === 'bool' ? 'float32' : x.type)], keptPhysical, x.type);
    if (keepDims) return stored(value, x.type, shape, from.order);
    const order = from.order.filter((axis) => !axes.includes(axis));
    const squeezed = graph.reshape(
      value,
      order.map((axis) => value.shape[from.order.indexOf(axis)] as number),
    );
    return stored(
      squeezed,
      x.type,
      shape,
      order.map((axis) => kept.indexOf(axis)),
    );
  };
}

/** Reduces over the whole image, over all but the channels, over the pixels or over everything; undefined for other axes. */
function reduceBlocks(graph: Graph, op: string, x: BlockedView, axes: readonly number[]): Value | undefined {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const over = (value: Value, shape: readonly number[], axis: number) =>
    graph.add(
      op,
      [graph.reshape(value, shape), graph.integers([axis])],
      shape.filter((_, i) => i !== axis),
      x.type,
      { attributes: { keepdims: 0 } },
    );
  const pixels = () => over(x.value, [(n * c) / x.block, h * w, x.block], 1);
  switch ([...axes].sort((a, b) => a - b).join()) {
    case '0,1,2,3':
      return over(x.value, [n * h * w * c], 0);
    case '1,2,3':
      return over(x.value, [n, h * w * c], 1);
    case '1,2':
      return pixels();
    case '0,1,2':
      return over(pixels(), [n, c], 0);
    default:
      return undefined;
  }
}

const same = (v: number) => v;
const one = () => 1;
const sum = reduce(
  'ReduceSum',
  (v, n) => v * n,
  (n) => n,
);
const max = reduce('ReduceMax', same, one);

blockKernel<'x', ReduceAttributes>('Sum', sum);
blockKernel<'x', ReduceAttributes>('Mean', reduce('ReduceMean', same, one));
blockKernel<'x', ReduceAttributes>('Max', max);
blockKernel<'x', ReduceAttributes>('Min', reduce('ReduceMin', same, one));

kernel<'logits', { dim: number }>('Softmax', (graph, { logits }, { dim }) => {
  const value = inOrder(graph, logits, identityOrder(logits.shape.length));
  return plain(graph.add('Softmax', [value], value.shape, 'float32', { attributes: { axis: dim } }), 'float32', logits.shape);
});

kernel<'x', { axis: number }>('ArgMax', (graph, { x }, { axis }) => {
  const [at] = tf.util.parseAxisParam(axis, [...x.shape]) as [number];
  const value = inOrder(graph, x, identityOrder(x.shape.length));
  const shape = value.shape.filter((_, i) => i !== at);
  const index = graph.add('ArgMax', [value], shape, 'int64', { attributes: { axis: at, keepdims: 0 } });
  return plain(graph.add('Cast', [index], shape, 'int32', { attributes: { to: 6 } }), 'int32');
});
