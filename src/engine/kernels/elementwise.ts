/** @file Element-wise kernels. They work in whatever layout their largest operand has, in blocks where one operand lies in blocks. */
import { besideBlocks, blockedView, isBlocked, unblocked } from '../blocks.ts';
import type { Graph, Value } from '../graph.ts';
import { tf } from '../tensorflow.ts';
import { aligned, commonOrder, inOrder, stored, uniform, type View, type ViewType } from '../view.ts';
import { withActivation, withBias } from './convolution.ts';
import { blockKernel, blockListKernel } from './register.ts';

/** Element-wise operation on views of any broadcastable shapes. */
function elementwise(
  graph: Graph,
  operands: readonly View[],
  type: ViewType,
  emit: (values: readonly Value[], shape: readonly number[]) => Value,
): View {
  const shape = operands.map((view) => [...view.shape]).reduce((a, b) => tf.backend_util.assertAndGetBroadcastShape(a, b));
  const block = operands.find(isBlocked)?.block;
  if (block !== undefined) {
    const beside = operands.map((view) => besideBlocks(graph, view, shape, block));
    if (beside.every((value) => value !== undefined)) {
      const [n, h, w, c] = shape as [number, number, number, number];
      return blockedView(emit(beside, [n, c / block, h, w, block]), type, shape, block);
    }
  }
  const plain = operands.map((view) => unblocked(graph, view));
  const order = commonOrder(plain, shape.length);
  const values = plain.map((view) => aligned(graph, view, shape.length, order));
  const physical = order.map((_, p) => Math.max(...values.map((v) => (v.shape.length === order.length ? (v.shape[p] as number) : 1))));
  const result = emit(values, physical);
  return stored(result, type, shape, order);
}

interface Fold {
  /** The result in JavaScript, for operands that are all uniform. */
  readonly compute: (...values: number[]) => number;
  /** A result that needs no node, e.g. x + 0; undefined where there is none. */
  readonly shortcut?: (a: View, b: View, shape: readonly number[]) => View | undefined;
}

const isFill = (view: View, fill: number): boolean => view.kind === 'uniform' && view.fill === fill;

/** `view` where broadcasting it to `shape` changes nothing or can stay lazy. */
function broadcast(view: View, shape: readonly number[], type: ViewType = view.type): View | undefined {
  if (view.kind === 'uniform') return uniform(view.fill, shape, type);
  if (view.shape.length !== shape.length) return undefined;
  if (isBlocked(view)) return view.shape.join() === shape.join() ? { ...view, type } : undefined;
  return stored(view.value, type, shape, view.order);
}

/** The value of a float32 computation. */
const rounded = (value: number, type: ViewType): number => (type === 'float32' ? Math.fround(value) : Math.trunc(value));

function binary(name: string, op: string, result: ViewType | 'same', fold: Fold): void {
  blockKernel<'a' | 'b'>(name, (graph, { a, b }) => {
    const type = result === 'same' ? a.type : result;
    const shape = tf.backend_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
    if (a.kind === 'uniform' && b.kind === 'uniform') return uniform(rounded(Number(fold.compute(a.fill, b.fill)), type), shape, type);
    const shortcut = fold.shortcut?.(a, b, shape);
    if (shortcut) return shortcut;
    const fused = op === 'Add' ? withBias(graph, a, b) : undefined;
    if (fused) return fused;
    return elementwise(graph, [a, b], type, (values, physical) => graph.add(op, values, physical, type));
  });
}

binary('Add', 'Add', 'same', {
  compute: (a, b) => a + b,
  shortcut: (a, b, shape) => (isFill(a, 0) ? broadcast(b, shape) : isFill(b, 0) ? broadcast(a, shape) : undefined),
});
binary('Sub', 'Sub', 'same', {
  compute: (a, b) => a - b,
  shortcut: (a, b, shape) => (isFill(b, 0) ? broadcast(a, shape) : undefined),
});
binary('Multiply', 'Mul', 'same', {
  compute: (a, b) => a * b,
  // Gradient code multiplies by zeros that stand for "no gradient"; 0 * NaN is taken as 0 here.
  shortcut: (a, b, shape) => {
    if (isFill(a, 0) || isFill(b, 0)) return uniform(0, shape, a.type);
    return isFill(a, 1) ? broadcast(b, shape) : isFill(b, 1) ? broadcast(a, shape) : undefined;
  },
});
binary('RealDiv', 'Div', 'same', {
  compute: (a, b) => a / b,
  shortcut: (a, b, shape) => (isFill(b, 1) ? broadcast(a, shape) : undefined),
});
binary('Maximum', 'Max', 'same', { compute: Math.max });
binary('Minimum', 'Min', 'same', { compute: Math.min });
binary('Equal', 'Equal', 'bool', { compute: (a, b) => Number(a === b) });
binary('Greater', 'Greater', 'bool', { compute: (a, b) => Number(a > b) });
binary('GreaterEqual', 'GreaterOrEqual', 'bool', { compute: (a, b) => Number(a >= b) });
binary('Less', 'Less', 'bool', { compute: (a, b) => Number(a < b) });
binary('LessEqual', 'LessOrEqual', 'bool', { compute: (a, b) => Number(a <= b) });
binary('LogicalAnd', 'And', 'bool', { compute: (a, b) => Number(a !== 0 && b !== 0) });
binary('LogicalOr', 'Or', 'bool', { compute: (a, b) => Number(a !== 0 || b !== 0) });

blockKernel<'a' | 'b'>('NotEqual', (graph, { a, b }) =>
  elementwise(graph, [a, b], 'bool', (values, shape) => graph.add('Not', [graph.add('Equal', values, shape, 'bool')], shape, 'bool')),
);
blockKernel<'a' | 'b'>('SquaredDifference', (graph, { a, b }) =>
  elementwise(graph, [a, b], a.type, (values, shape) => {
    const difference = graph.add('Sub', values, shape, a.type);
    return graph.add('Mul', [difference, difference], shape, a.type);
  }),
);

/** Registers a unary kernel; lazy broadcasts and layouts carry over. */
function unary(name: string, compute: (x: number) => number, emit: (graph: Graph, x: Value) => Value): void {
  blockKernel<'x'>(name, (graph, { x }) => {
    if (x.kind === 'uniform') return uniform(rounded(compute(x.fill), x.type), x.shape, x.type);
    return { ...x, value: emit(graph, x.value) };
  });
}

const direct = (op: string) => (graph: Graph, x: Value) => graph.add(op, [x], x.shape, x.type);

/** Inputs of a ReLU with its output, to tell the sign of one from the other. */
const rectified = new WeakMap<Value, Value>();

unary(
  'Relu',
  (x) => Math.max(x, 0),
  (graph, x) => {
    const y = withActivation(graph, x) ?? graph.add('Relu', [x], x.shape, x.type);
    rectified.set(x, y);
    return y;
  },
);
unary('Exp', Math.exp, direct('Exp'));
unary('Log', Math.log, direct('Log'));
unary('Sqrt', Math.sqrt, direct('Sqrt'));
unary('Neg', (x) => -x, direct('Neg'));
unary('Abs', Math.abs, direct('Abs'));
unary('Sign', Math.sign, direct('Sign'));
unary('Floor', Math.floor, direct('Floor'));
unary('Tanh', Math.tanh, direct('Tanh'));
unary('Sigmoid', (x) => 1 / (1 + Math.exp(-x)), direct('Sigmoid'));
unary('Reciprocal', (x) => 1 / x, direct('Reciprocal'));
unary(
  'Square',
  (x) => x * x,
  (graph, x) => graph.add('Mul', [x, x], x.shape, x.type),
);
unary(
  'Rsqrt',
  (x) => 1 / Math.sqrt(x),
  (graph, x) => graph.add('Reciprocal', [graph.add('Sqrt', [x], x.shape, x.type)], x.shape, x.type),
);
unary('LogicalNot', (x) => Number(x === 0), direct('Not'));

const ONNX_CAST = { float32: 1, int32: 6, bool: 9 } as const;

// 1 where x > 0, else alpha.
blockKernel<'x', { alpha: number }>('Step', (graph, { x }, { alpha }) => {
  if (x.kind === 'uniform') return uniform(x.fill > 0 ? 1 : alpha, x.shape, x.type);
  // x > 0 where relu(x) > 0: the value before the ReLU needn't be kept for this.
  const source = rectified.get(x.value) ?? x.value;
  const positive = graph.add('Greater', [source, graph.scalar(0, x.type)], source.shape, 'bool');
  const value = alpha
    ? graph.add('Where', [positive, graph.scalar(1, x.type), graph.scalar(alpha, x.type)], x.value.shape, x.type)
    : graph.add('Cast', [positive], x.value.shape, x.type, { attributes: { to: ONNX_CAST[x.type] } });
  return { ...x, value };
});

blockKernel<'x', { clipValueMin: number; clipValueMax: number }>('ClipByValue', (graph, { x }, { clipValueMin, clipValueMax }) => {
  if (x.kind === 'uniform') return uniform(Math.min(Math.max(x.fill, clipValueMin), clipValueMax), x.shape, x.type);
  const bounds = [graph.scalar(clipValueMin, x.type), graph.scalar(clipValueMax, x.type)];
  return { ...x, value: graph.add('Clip', [x.value, ...bounds], x.value.shape, x.type) };
});

blockKernel<'x', { dtype: ViewType }>('Cast', (graph, { x }, { dtype }) => {
  if (x.type === dtype) return x;
  if (x.kind === 'uniform')
    return uniform(dtype === 'bool' ? Number(x.fill !== 0) : dtype === 'int32' ? Math.trunc(x.fill) : x.fill, x.shape, dtype);
  return { ...x, type: dtype, value: graph.add('Cast', [x.value], x.value.shape, dtype, { attributes: { to: ONNX_CAST[dtype] } }) };
});

blockKernel<'condition' | 't' | 'e'>('Select', (graph, { condition, t, e }) => {
  if (condition.kind === 'uniform') return condition.fill ? t : e;
  // A condition of rank 1 selects whole rows.
  const rank = t.shape.length;
  const rows = condition.shape.length === 1 && rank > 1;
  const selector: View = rows
    ? stored(
        graph.reshape(inOrder(graph, condition, [0]), [condition.value.shape[0] as number, ...Array<number>(rank - 1).fill(1)]),
        'bool',
        [condition.shape[0] as number, ...Array<number>(rank - 1).fill(1)],
        Array.from({ length: rank }, (_, i) => i),
      )
    : condition;
  return elementwise(graph, [selector, t, e], t.type, (values, shape) => graph.add('Where', values, shape, t.type));
});

blockListKernel('AddN', (graph, inputs) =>
  inputs.reduce((a, b) => elementwise(graph, [a, b], a.type, (values, shape) => graph.add('Add', values, shape, a.type))),
);
