/**
 * @file Tensors whose channels lie in blocks, as ONNX Runtime's fast convolutions take them (docs/adr/0004). An NHWC tensor is then
 * held as [N, C/b, H, W, b]. It stays so through element-wise operations, pooling and sums, and is put in order only where it must be.
 */
import type { Graph, Value } from './graph.ts';
import { expanded, inOrder, type StoredView, stored, type View, type ViewType } from './view.ts';

/** Operator set of the blocked operators inside ONNX Runtime. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';
/** Physical order of an NHWC tensor that is held as NCHW. */
export const CHANNELS_FIRST = [0, 3, 1, 2] as const;

type Shape4 = readonly [number, number, number, number];

export type BlockedView = StoredView & { readonly block: number };

export const isBlocked = (view: View): view is BlockedView => view.kind === 'stored' && view.block !== undefined;

/** [N, C/b, H, W, b] for an NHWC shape. */
const blockedShape = (shape: readonly number[], block: number): number[] => {
  const [n, h, w, c] = shape as Shape4;
  return [n, c / block, h, w, block];
};

/** The view of a blocked operator's result; `value` has the nominal shape [N,C,H,W] that these operators speak of. */
export function fromNominal(graph: Graph, value: Value, block: number): BlockedView {
  const [n, c, h, w] = value.shape as Shape4;
  return blockedView(graph.reshape(value, blockedShape([n, h, w, c], block)), 'float32', [n, h, w, c], block);
}

/** A view over a value of shape [N, C/b, H, W, b]. */
export function blockedView(value: Value, type: ViewType, shape: readonly number[], block: number): BlockedView {
  return { kind: 'stored', shape, type, value, order: CHANNELS_FIRST, block };
}

/** A blocked float32 value with the nominal shape [N,C,H,W], in blocks: what blocked operators take. */
export function nominal(graph: Graph, view: View): Value {
  const [n, h, w, c] = view.shape as Shape4;
  if (isBlocked(view)) return graph.reshape(view.value, [n, c, h, w]);
  return graph.add('ReorderInput', [expanded(graph, view, CHANNELS_FIRST)], [n, c, h, w], 'float32', { domain: BLOCKED_DOMAIN });
}

/** The same tensor, channels first and without blocks. */
export function unblocked(graph: Graph, view: View): View {
  if (!isBlocked(view)) return view;
  const { shape, type } = view;
  const [n, h, w, c] = shape as Shape4;
  if (type === 'float32') {
    const attributes = { channels: c };
    const value = graph.add('ReorderOutput', [nominal(graph, view)], [n, c, h, w], type, { domain: BLOCKED_DOMAIN, attributes });
    return stored(value, type, shape, CHANNELS_FIRST);
  }
  return stored(graph.reshape(graph.transpose(view.value, [0, 1, 4, 2, 3]), [n, c, h, w]), type, shape, CHANNELS_FIRST);
}

/**
 * The operand of an element-wise operation whose result lies in blocks and has the logical NHWC shape `shape`: a scalar, or something
 * that broadcasts against [N, C/b, H, W, b]. Undefined where that would need more than a reordering.
 */
export function besideBlocks(graph: Graph, view: View, shape: readonly number[], block: number): Value | undefined {
  if (view.kind === 'uniform') return graph.scalar(view.fill, view.type);
  if (isBlocked(view)) return view.value;
  if (view.shape.length === 0) return view.value;
  const channels = shape[3] as number;
  if (view.shape.length === 1) {
    const [length] = view.value.shape as [number];
    return graph.reshape(view.value, length === channels ? [1, channels / block, 1, 1, block] : [1, 1, 1, 1, 1]);
  }
  if (view.shape.length !== 4) return undefined;
  const value = inOrder(graph, view, CHANNELS_FIRST);
  const [n, c, h, w] = value.shape as Shape4;
  if (c === 1) return graph.reshape(value, [n, 1, h, w, 1]);
  if (h === 1 && w === 1) return graph.reshape(value, [n, c / block, 1, 1, block]);
  if (view.type !== 'float32' || view.shape.join() !== shape.join()) return undefined;
  return graph.reshape(nominal(graph, view), blockedShape(shape, block));
}
