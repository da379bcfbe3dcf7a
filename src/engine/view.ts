/**
 * @file A tensor during capture: a logical shape over a physical value. Transposes, broadcasts and uniform fills stay lazy
 * here, so that values keep the layout that convolutions like (channels first) without transposes in between.
 */
import { sizeOf } from '../core/index.ts';
import type { Graph, Value } from './graph.ts';

export type ViewType = 'float32' | 'int32' | 'bool';

export interface StoredView {
  readonly kind: 'stored';
  /** Logical shape. */
  readonly shape: readonly number[];
  readonly type: ViewType;
  readonly value: Value;
  /** order[p] = logical axis held at physical position p. A physical length of 1 where the logical one is larger means broadcast. */
  readonly order: readonly number[];
  /**
   * Channels per block where the value lies in blocks: an NHWC tensor held as [N, C/block, H, W, block], nothing broadcast, `order` as
   * if it were channels first. Kernels that don't ask for blocks get such a view unblocked (see register.ts).
   */
  readonly block?: number;
}

/** A tensor whose elements are all equal. */
export interface UniformView {
  readonly kind: 'uniform';
  readonly shape: readonly number[];
  readonly type: ViewType;
  readonly fill: number;
}

export type View = StoredView | UniformView;

/** 0, 1, ..., rank-1. */
export const identityOrder = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i);

export const uniform = (fill: number, shape: readonly number[], type: ViewType): UniformView => ({ kind: 'uniform', shape, type, fill });

/** A view whose physical shape is its logical shape. */
export const plain = (value: Value, type: ViewType, shape: readonly number[] = value.shape): StoredView => ({
  kind: 'stored',
  shape,
  type,
  value,
  order: identityOrder(shape.length),
});

export const stored = (value: Value, type: ViewType, shape: readonly number[], order: readonly number[]): StoredView => ({
  kind: 'stored',
  shape,
  type,
  value,
  order,
});

/** The view's value with physical dimensions in `order`; broadcast dimensions keep length 1. */
export function inOrder(graph: Graph, view: View, order: readonly number[]): Value {
  if (view.kind === 'uniform')
    return graph.reshape(
      graph.scalar(view.fill, view.type),
      view.shape.map(() => 1),
    );
  if (order.every((axis, p) => axis === view.order[p])) return view.value;
  return graph.transpose(
    view.value,
    order.map((axis) => view.order.indexOf(axis)),
  );
}

/** The view's value in `order` with every dimension at its logical length. */
export function expanded(graph: Graph, view: View, order: readonly number[] = identityOrder(view.shape.length)): Value {
  const value = inOrder(graph, view, order);
  const shape = order.map((axis) => view.shape[axis] as number);
  if (value.shape.join() === shape.join()) return value;
  return graph.add('Expand', [value, graph.integers(shape)], shape, value.type);
}

/**
 * The view's value aligned for broadcasting against a tensor of rank `rank` whose physical dimensions are in `order`:
 * missing leading axes get length 1.
 */
export function aligned(graph: Graph, view: View, rank: number, order: readonly number[]): Value {
  if (view.kind === 'uniform') return graph.scalar(view.fill, view.type);
  const missing = rank - view.shape.length;
  if (missing === 0) return inOrder(graph, view, order);
  if (view.shape.length === 0) return view.value;
  const own = order.filter((axis) => axis >= missing).map((axis) => axis - missing);
  const value = inOrder(graph, view, own);
  const shape = order.map((axis) => (axis < missing ? 1 : (value.shape[own.indexOf(axis - missing)] as number)));
  return graph.reshape(value, shape);
}

/** The physical order that an element-wise operation on `views` should use: that of its largest operand of full rank. */
export function commonOrder(views: readonly View[], rank: number): readonly number[] {
  let best: StoredView | undefined;
  for (const view of views)
    if (view.kind === 'stored' && view.shape.length === rank && (!best || sizeOf(view.value.shape) > sizeOf(best.value.shape))) best = view;
  return best?.order ?? identityOrder(rank);
}
