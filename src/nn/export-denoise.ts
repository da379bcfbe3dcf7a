/** @file Feature-denoising blocks in an exported network: the formulas of denoise.ts as standard ONNX operators. */
import type { DenoiseOperation } from '../config/index.ts';
import { FILTER_WEIGHTS } from './denoise.ts';
import type { OnnxGraphBuilder } from './onnx-graph-builder.ts';

/**
 * Appends h + conv1x1(filter(h)).
 * @param input name of h, [N,C,H,W]
 * @returns name of the result, of the same shape
 */
export function exportDenoise(graph: OnnxGraphBuilder, layer: DenoiseOperation, input: string): string {
  const name = `${layer.name}.denoise`;
  const filtered = exportFilter(graph, layer, name, input);
  const change = graph.add('Conv', [filtered, `${name}.weight`, `${name}.bias`], `${name}.change`, { kernel_shape: [1, 1] });
  return graph.add('Add', [input, change], name);
}

function exportFilter(graph: OnnxGraphBuilder, { filter, channels }: DenoiseOperation, name: string, input: string): string {
  switch (filter) {
    case 'mean':
    case 'gaussian': {
      const weights = Array.from({ length: channels }, () => FILTER_WEIGHTS[filter]).flat();
      const kernel = graph.floats(`${name}.kernel`, [channels, 1, 3, 3], weights);
      const padded = repeatBorder(graph, name, input);
      return graph.add('Conv', [padded, kernel], `${name}.filtered`, { kernel_shape: [3, 3], group: channels });
    }
    case 'median':
      return exportMedian(graph, name, input);
    case 'non-local':
      return exportNonLocal(graph, channels, name, input);
    default:
      return filter satisfies never;
  }
}

/** The nine shifted images beside each other in a new axis; the fifth of the sorted values is the median. */
function exportMedian(graph: OnnxGraphBuilder, name: string, input: string): string {
  const padded = repeatBorder(graph, name, input);
  const axes = graph.integers(`${name}.axes`, [2, 3]);
  const last = graph.integers(`${name}.last`, [-1]);
  const shifted = Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3), i % 3];
    const begin = graph.integers(`${name}.begin${i}`, [row, column]);
    // Two pixels less than the padded image; the last part ends at its end.
    const end = graph.integers(
      `${name}.end${i}`,
      [row, column].map((start) => (start === 2 ? 2 ** 31 : start - 2)),
    );
    const part = graph.add('Slice', [padded, begin, end, axes], `${name}.part${i}`);
    return graph.add('Unsqueeze', [part, last], `${name}.shift${i}`);
  });
  const windows = graph.add('Concat', shifted, `${name}.windows`, { axis: -1 });
  const five = graph.integers(`${name}.five`, [5]);
  graph.nodes.push({
    op: 'TopK',
    inputs: [windows, five],
    outputs: [`${name}.largest`, `${name}.places`],
    attributes: { axis: -1, largest: 1, sorted: 1 },
  });
  const fourth = graph.integers(`${name}.fourth`, [4]);
  const median = graph.add('Slice', [`${name}.largest`, fourth, five, last], `${name}.fifth`);
  return graph.add('Squeeze', [median, last], `${name}.filtered`);
}

/** softmax(X X^T / sqrt(C)) X with X the image as [n, C]. */
function exportNonLocal(graph: OnnxGraphBuilder, channels: number, name: string, input: string): string {
  const flatShape = graph.integers(`${name}.flatShape`, [0, channels, -1]);
  const turned = graph.add('Reshape', [input, flatShape], `${name}.turned`);
  const pixels = graph.add('Transpose', [turned], `${name}.pixels`, { perm: [0, 2, 1] });
  const products = graph.add('MatMul', [pixels, turned], `${name}.products`);
  const root = graph.floats(`${name}.root`, [], [Math.sqrt(channels)]);
  const similarity = graph.add('Div', [products, root], `${name}.similarity`);
  const weights = graph.add('Softmax', [similarity], `${name}.weights`, { axis: -1 });
  const means = graph.add('MatMul', [weights, pixels], `${name}.means`);
  const meansTurned = graph.add('Transpose', [means], `${name}.meansTurned`, { perm: [0, 2, 1] });
  const imageShape = graph.add('Shape', [input], `${name}.imageShape`);
  return graph.add('Reshape', [meansTurned, imageShape], `${name}.filtered`);
}

function repeatBorder(graph: OnnxGraphBuilder, name: string, input: string): string {
  const pads = graph.integers(`${name}.pads`, [0, 0, 1, 1, 0, 0, 1, 1]);
  return graph.add('Pad', [input, pads], `${name}.padded`, { mode: 'edge' });
}
