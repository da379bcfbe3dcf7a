/** @file Matrix multiplication. */
import type { Graph, Value } from '../graph.ts';
import { expanded, identityOrder, inOrder, plain, uniform, type View } from '../view.ts';
import { kernel } from './register.ts';

interface MatMulAttributes {
  transposeA: boolean;
  transposeB: boolean;
}

/** A matrix as the runtime's Gemm takes it: a stored transpose becomes a flag. */
function matrix(graph: Graph, view: View, transpose: boolean): { value: Value; flag: number } {
  const swapped = view.kind === 'stored' && view.order[0] === 1;
  const value = expanded(graph, view, swapped ? [1, 0] : [0, 1]);
  return { value, flag: Number(swapped !== transpose) };
}

kernel<'a' | 'b', MatMulAttributes>('BatchMatMul', (graph, { a, b }, { transposeA, transposeB }) => {
  const rank = Math.max(a.shape.length, b.shape.length);
  const [rowsA, columnsA] = lastTwo(a, transposeA);
  const [, columnsB] = lastTwo(b, transposeB);
  const batch = (a.shape.length >= b.shape.length ? a : b).shape
    .slice(0, -2)
    .map((length, i) => Math.max(length, (a.shape.length >= b.shape.length ? b : a).shape[i] ?? 1));
  const shape = [...batch, rowsA, columnsB];
  if ((a.kind === 'uniform' && a.fill === 0) || (b.kind === 'uniform' && b.fill === 0) || columnsA === 0)
    return uniform(0, shape, 'float32');
  if (rank === 2) {
    const left = matrix(graph, a, transposeA);
    const right = matrix(graph, b, transposeB);
    return plain(
      graph.add('Gemm', [left.value, right.value], shape, 'float32', { attributes: { transA: left.flag, transB: right.flag } }),
      'float32',
    );
  }
  const operand = (view: View, transpose: boolean) => {
    const value = inOrder(graph, view, identityOrder(view.shape.length));
    const full = view.kind === 'uniform' || value.shape.join() !== view.shape.join() ? expanded(graph, view) : value;
    const r = view.shape.length;
    return transpose ? graph.transpose(full, [...identityOrder(r - 2), r - 1, r - 2]) : full;
  };
  return plain(graph.add('MatMul', [operand(a, transposeA), operand(b, transposeB)], shape, 'float32'), 'float32');
});

function lastTwo(view: View, transpose: boolean): [number, number] {
  const [rows, columns] = view.shape.slice(-2) as [number, number];
  return transpose ? [columns, rows] : [rows, columns];
}
