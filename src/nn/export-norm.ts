/** @file Normalisations in an exported network: the formulas of normalisation.ts as standard ONNX operators. */
import type { NormOperation } from '../config/index.ts';
import { NORM_EPSILON, NORM_GROUPS } from './normalisation.ts';
import type { OnnxGraphBuilder } from './onnx-graph-builder.ts';

/**
 * Appends a normalisation; batch normalisation with the running statistics.
 * @param input name of [N,C,H,W]
 * @returns name of the result, of the same shape
 */
export function exportNorm(graph: OnnxGraphBuilder, { name, norm, channels }: NormOperation, input: string): string {
  const epsilon = { epsilon: { float: NORM_EPSILON } };
  if (norm === 'batch') {
    const parameters = ['weight', 'bias', 'runningMean', 'runningVariance'].map((kind) => `${name}.${kind}`);
    return graph.add('BatchNormalization', [input, ...parameters], name, epsilon);
  }
  // A group's pixels as the pixels of one channel: the operator for groups itself took one weight per group before operator set 21.
  const grouped = graph.add('Reshape', [input, graph.integers(`${name}.groups`, [0, NORM_GROUPS, -1])], `${name}.grouped`);
  const ones = graph.floats(`${name}.ones`, [NORM_GROUPS], Array<number>(NORM_GROUPS).fill(1));
  const zeros = graph.floats(`${name}.zeros`, [NORM_GROUPS], Array<number>(NORM_GROUPS).fill(0));
  const normal = graph.add('InstanceNormalization', [grouped, ones, zeros], `${name}.normal`, epsilon);
  const image = graph.add('Reshape', [normal, graph.add('Shape', [input], `${name}.shape`)], `${name}.image`);
  const perChannel = graph.integers(`${name}.perChannel`, [channels, 1, 1]);
  const weight = graph.add('Reshape', [`${name}.weight`, perChannel], `${name}.weightImage`);
  const bias = graph.add('Reshape', [`${name}.bias`, perChannel], `${name}.biasImage`);
  return graph.add('Add', [graph.add('Mul', [image, weight], `${name}.scaled`), bias], name);
}
