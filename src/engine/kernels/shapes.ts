/** @file Kernels that move or make values: reshape, transpose, slice, pad, concatenate, fill. Most emit no node at all. */
import { sizeOf } from '../../core/index.ts';
import { unblocked } from '../blocks.ts';
import type { Graph } from '../graph.ts';
import { tf } from '../tensorflow.ts';
import { expanded, identityOrder, inOrder, plain, stored, uniform, type View, type ViewType } from '../view.ts';
import { blockKernel, kernel, listKernel, splitKernel } from './register.ts';

/** `x` with another logical shape of the same size. */
export function reshaped(graph: Graph, x: View, shape: readonly number[]): View {
  if (x.shape.join() === shape.join()) return x;
  if (x.kind === 'uniform') return uniform(x.fill, shape, x.type);
  const long = (lengths: readonly number[]) => identityOrder(lengths.length).filter((axis) => (lengths[axis] as number) > 1);
  const from = long(x.shape);
  const to = long(shape);
  if (from.map((axis) => x.shape[axis]).join() === to.map((axis) => shape[axis]).join()) {
    // Only dimensions of length 1 come or go: the layout and lazy broadcasts stay.
    const order = [
      ...identityOrder(shape.length).filter((axis) => !to.includes(axis)),
      ...x.order.filter((axis) => from.includes(axis)).map((axis) => to[from.indexOf(axis)] as number),
    ];
    const lengths = order.map((axis) =>
      to.includes(axis) ? (x.value.shape[x.order.indexOf(from[to.indexOf(axis)] as number)] as number) : 1,
    );
    return stored(graph.reshape(x.value, lengths), x.type, shape, order);
  }
  return plain(graph.reshape(expanded(graph, x), shape), x.type);
}

blockKernel<'x', { shape: number[] }>('Reshape', (graph, { x }, { shape }) => {
  const wanted = tf.util.inferFromImplicitShape(shape, sizeOf(x.shape));
  return wanted.join() === x.shape.join() ? x : reshaped(graph, unblocked(graph, x), wanted);
});

kernel<'input', { dim: number }>('ExpandDims', (graph, { input }, { dim }) => {
  const shape = [...input.shape];
  shape.splice(dim < 0 ? dim + input.shape.length + 1 : dim, 0, 1);
  return reshaped(graph, input, shape);
});

blockKernel<'x'>('Identity', (_, { x }) => x);

kernel<'x', { perm: number[] }>('Transpose', (_, { x }, { perm }) => {
  const shape = perm.map((axis) => x.shape[axis] as number);
  if (x.kind === 'uniform') return uniform(x.fill, shape, x.type);
  return stored(
    x.value,
    x.type,
    shape,
    x.order.map((axis) => perm.indexOf(axis)),
  );
});

kernel<never, { shape: number[]; value: number; dtype?: ViewType }>('Fill', (_graph, _inputs, { shape, value, dtype }) =>
  uniform(value, shape, dtype ?? 'float32'),
);
blockKernel<'x'>('ZerosLike', (_, { x }) => uniform(0, x.shape, x.type));
blockKernel<'x'>('OnesLike', (_, { x }) => uniform(1, x.shape, x.type));

kernel<'x', { reps: number[] }>('Tile', (graph, { x }, { reps }) => {
  const shape = x.shape.map((length, axis) => length * (reps[axis] as number));
  if (x.kind === 'uniform') return uniform(x.fill, shape, x.type);
  // Repeating a dimension of length 1 is a broadcast and can stay lazy.
  if (x.shape.every((length, axis) => length === 1 || reps[axis] === 1)) return stored(x.value, x.type, shape, x.order);
  return plain(graph.add('Tile', [expanded(graph, x), graph.integers(reps)], shape, x.type), x.type);
});

kernel<'x', { begin: number | number[]; size: number | number[] }>('Slice', (graph, { x }, { begin, size }) => {
  const [starts, lengths] = tf.slice_util.parseSliceParams({ shape: [...x.shape], rank: x.shape.length } as never, begin, size) as [
    number[],
    number[],
  ];
  if (x.kind === 'uniform') return uniform(x.fill, lengths, x.type);
  const physical = x.order.map((axis, p) => (x.value.shape[p] === 1 ? 1 : (lengths[axis] as number)));
  const cut = identityOrder(x.order.length).filter((p) => physical[p] !== x.value.shape[p]);
  if (cut.length === 0) return stored(x.value, x.type, lengths, x.order);
  const from = cut.map((p) => starts[x.order[p] as number] as number);
  const value = graph.add(
    'Slice',
    [x.value, graph.integers(from), graph.integers(cut.map((p, i) => (from[i] as number) + (physical[p] as number))), graph.integers(cut)],
    physical,
    x.type,
  );
  return stored(value, x.type, lengths, x.order);
});

splitKernel<{ numOrSizeSplits: number | number[]; axis: number }>('SplitV', (graph, x, { numOrSizeSplits, axis }) => {
  const [at] = tf.util.parseAxisParam(axis, [...x.shape]) as [number];
  const sizes = tf.backend_util.prepareSplitSize({ shape: [...x.shape] } as never, numOrSizeSplits, at);
  const value = expanded(graph, x);
  let start = 0;
  return sizes.map((size) => {
    const shape = x.shape.map((length, i) => (i === at ? size : length));
    const part = graph.add('Slice', [value, graph.integers([start]), graph.integers([start + size]), graph.integers([at])], shape, x.type);
    start += size;
    return plain(part, x.type);
  });
});

listKernel<{ axis: number }>('Concat', (graph, inputs, { axis }) => {
  const [first] = inputs as readonly [View];
  const [at] = tf.util.parseAxisParam(axis, [...first.shape]) as [number];
  const shape = first.shape.map((length, i) => (i === at ? inputs.reduce((n, view) => n + (view.shape[at] as number), 0) : length));
  if (inputs.length === 1) return first;
  const order = inputs.find((view) => view.kind === 'stored')?.order ?? identityOrder(shape.length);
  const values = inputs.map((view) => expanded(graph, view, order));
  const physical = order.map((i) => shape[i] as number);
  return stored(graph.add('Concat', values, physical, first.type, { attributes: { axis: order.indexOf(at) } }), first.type, shape, order);
});

splitKernel<{ axis: number }>('Unpack', (graph, x, { axis }) => {
  const [at] = tf.util.parseAxisParam(axis, [...x.shape]) as [number];
  const value = expanded(graph, x);
  const shape = x.shape.filter((_, i) => i !== at);
  const single = x.shape.map((length, i) => (i === at ? 1 : length));
  return Array.from({ length: x.shape[at] as number }, (_, i) => {
    const part = graph.add('Slice', [value, graph.integers([i]), graph.integers([i + 1]), graph.integers([at])], single, x.type);
    return plain(graph.reshape(part, shape), x.type);
  });
});

listKernel<{ axis: number }>('Pack', (graph, inputs, { axis }) => {
  const values = inputs.map((view) => {
    const value = expanded(graph, view);
    return graph.reshape(value, [...value.shape.slice(0, axis), 1, ...value.shape.slice(axis)]);
  });
  const [first] = values as [(typeof values)[0]];
  const shape = first.shape.map((length, i) => (i === axis ? values.length : length));
  const type = inputs[0]?.type ?? 'float32';
  return plain(graph.add('Concat', values, shape, type, { attributes: { axis } }), type);
});

kernel<'x', { paddings: [number, number][]; constantValue: number }>('PadV2', (graph, { x }, { paddings, constantValue }) => {
  const shape = x.shape.map((length, axis) => length + (paddings[axis]?.[0] ?? 0) + (paddings[axis]?.[1] ?? 0));
  const order = x.kind === 'stored' ? x.order : identityOrder(x.shape.length);
  const value = expanded(graph, x, order);
  const pads = [...order.map((axis) => paddings[axis]?.[0] ?? 0), ...order.map((axis) => paddings[axis]?.[1] ?? 0)];
  const physical = order.map((axis) => shape[axis] as number);
  const fill = graph.scalar(constantValue, x.type);
  return stored(graph.add('Pad', [value, graph.integers(pads), fill], physical, x.type), x.type, shape, order);
});

kernel<'x', { dims: number | number[] }>('Reverse', (graph, { x }, { dims }) => {
  if (x.kind === 'uniform') return x;
  const axes = tf.util.parseAxisParam(dims, [...x.shape]);
  const value = inOrder(graph, x, identityOrder(x.shape.length));
  const real = axes.filter((axis) => (value.shape[axis] as number) > 1);
  if (real.length === 0) return x;
  const all = (n: number) => graph.integers(real.map(() => n));
  const reversed = graph.add('Slice', [value, all(-1), all(-(2 ** 31)), graph.integers(real), all(-1)], value.shape, x.type);
  return plain(reversed, x.type, x.shape);
});
