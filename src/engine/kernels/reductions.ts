/** @file Reductions and what is built on them. Lazily broadcast dimensions are reduced by arithmetic, not by expanding. */
import type { Graph } from '../graph.ts';
import { tf } from '../tensorflow.ts';
import { identityOrder, inOrder, plain, stored, uniform, type View } from '../view.ts';
import { kernel } from './register.ts';

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

    const positions = axes.map((axis) => x.order.indexOf(axis)).sort((a, b) => a - b);
    const real = positions.filter((p) => (x.value.shape[p] as number) > 1);
    const lazyCount = count / real.reduce((n, p) => n * (x.value.shape[p] as number), 1);
    const keptPhysical = x.value.shape.map((length, p) => (positions.includes(p) ? 1 : length));
    let value = x.value;
    if (real.length > 0) value = graph.add(op, [value, graph.integers(real)], keptPhysical, x.type, { attributes: { keepdims: 1 } });
    const factor = scaleOfRepeat(lazyCount);
    if (factor !== 1) value = graph.add('Mul', [value, graph.scalar(factor, x.type === 'bool' ? 'float32' : x.type)], keptPhysical, x.type);
    if (keepDims) return stored(value, x.type, shape, x.order);
    const order = x.order.filter((axis) => !axes.includes(axis));
    const squeezed = graph.reshape(
      value,
      order.map((axis) => value.shape[x.order.indexOf(axis)] as number),
    );
    return stored(
      squeezed,
      x.type,
      shape,
      order.map((axis) => kept.indexOf(axis)),
    );
  };
}

const same = (v: number) => v;
const one = () => 1;
const sum = reduce(
  'ReduceSum',
  (v, n) => v * n,
  (n) => n,
);
const max = reduce('ReduceMax', same, one);

kernel<'x', ReduceAttributes>('Sum', sum);
kernel<'x', ReduceAttributes>('Mean', reduce('ReduceMean', same, one));
kernel<'x', ReduceAttributes>('Max', max);
kernel<'x', ReduceAttributes>('Min', reduce('ReduceMin', same, one));

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
