/**
 * @file Max-pooling and its first and second gradient. The position of each window's maximum is a mask made of a few
 * element-wise operations: the runtime's own pooling with indices costs more than the whole mask.
 */
import { DeepDefenseError } from '../../core/index.ts';
import { BLOCKED_DOMAIN, CHANNELS_FIRST, fromNominal, isBlocked, nominal } from '../blocks.ts';
import { capture } from '../capture-backend.ts';
import type { Graph, Value } from '../graph.ts';
import { MAX_POOL_GRAD_GRAD, type PoolAttributes } from '../missing-gradients.ts';
import type { OnnxAttribute } from '../onnx-proto.ts';
import { tf } from '../tensorflow.ts';
import { expanded, stored, type View } from '../view.ts';

import { blockKernel } from './register.ts';

type Shape4 = [number, number, number, number];

function poolInfo(inputShape: readonly number[], { filterSize, strides, pad, dimRoundingMode }: PoolAttributes) {
  return tf.backend_util.computePool2DInfo([...inputShape] as Shape4, filterSize, strides, 1, pad, dimRoundingMode);
}

/** How the images of one kernel are held: in blocks of so many channels, or 1 for plain channels first. */
const blockOf = (views: readonly View[]): number => views.find(isBlocked)?.block ?? 1;

/** [B,C,H,W], its channels in blocks where `block` > 1. */
const imageOf = (graph: Graph, view: View, block: number): Value =>
  block > 1 ? nominal(graph, view) : expanded(graph, view, CHANNELS_FIRST);

/** NHWC view over such a value. */
function viewOfImage(graph: Graph, value: Value, block: number): View {
  const [n, c, h, w] = value.shape as Shape4;
  return block > 1 ? fromNominal(graph, value, block) : stored(value, 'float32', [n, h, w, c], CHANNELS_FIRST);
}

/** A pooling operator of the runtime. */
function pool(
  graph: Graph,
  op: string,
  x: Value,
  shape: readonly number[],
  block: number,
  attributes: Record<string, OnnxAttribute>,
): Value {
  return graph.add(op, [x], shape, 'float32', block > 1 ? { domain: BLOCKED_DOMAIN, attributes } : { attributes });
}

blockKernel<'x', PoolAttributes>('MaxPool', (graph, { x }, attributes) => {
  const info = poolInfo(x.shape, attributes);
  const { top, left, bottom, right } = info.padInfo;
  const block = blockOf([x]);
  const shape = [info.batchSize, info.inChannels, info.outHeight, info.outWidth];
  const pooled = pool(graph, 'MaxPool', imageOf(graph, x, block), shape, block, {
    kernel_shape: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    pads: [top, left, bottom, right],
  });
  return viewOfImage(graph, pooled, block);
});

/** Window height and width of a pooling without overlap or rest. */
function tiles(inputShape: readonly number[], attributes: PoolAttributes): [number, number] {
  const info = poolInfo(inputShape, attributes);
  const { filterHeight: h, filterWidth: w } = info;
  const tiled =
    info.strideHeight === h && info.strideWidth === w && info.inHeight === info.outHeight * h && info.inWidth === info.outWidth * w;
  if (!tiled)
    throw new DeepDefenseError('ENGINE_UNSUPPORTED_OP', {
      what: `program "${capture().program}" differentiates "MaxPool" with windows that overlap or leave a rest`,
      expected: 'strides equal to the window and a height and width that it divides',
      got: `window ${h}x${w}, strides ${info.strideHeight}x${info.strideWidth}, image ${info.inHeight}x${info.inWidth}`,
      todo: 'use 2x2 pooling with stride 2, or the eager engine',
    });
  return [h, w];
}

/** [B,C,h,w] with every element repeated over its window. */
function repeat(graph: Graph, x: Value, [kh, kw]: [number, number], block: number): Value {
  const [n, c, h, w] = x.shape as Shape4;
  const shape = [n, c, h * kh, w * kw];
  if (block > 1)
    return graph.add('Upsample', [x], shape, 'float32', {
      domain: BLOCKED_DOMAIN,
      attributes: { scales: [1, 1, kh, kw], mode: 'nearest' },
    });
  const scales = graph.constant(Float32Array.of(1, 1, kh, kw), [4], 'float32');
  return graph.add('Resize', [x, undefined, scales], shape, x.type, {
    attributes: { mode: 'nearest', nearest_mode: 'floor', coordinate_transformation_mode: 'asymmetric' },
  });
}

/** `isMaximum` times a rank that is higher the earlier a position comes in its window: 4 3 / 2 1 for 2x2. */
function ranked(graph: Graph, isMaximum: Value, [kh, kw]: [number, number], block: number): Value {
  const [n, c, height, width] = isMaximum.shape as Shape4;
  const rank = (i: number) => kh * kw - ((Math.floor(i / width) % kh) * kw + ((i % width) % kw));
  // One rank per channel of a block: multiplying by one number at a time would take longer.
  const ranks = Float32Array.from({ length: height * width * block }, (_, i) => rank(Math.floor(i / block)));
  const physical = block > 1 ? [n, c / block, height * width * block] : isMaximum.shape;
  const factor = graph.constant(ranks, block > 1 ? [1, 1, height * width * block] : [1, 1, height, width], 'float32');
  return graph.reshape(graph.add('Mul', [graph.reshape(isMaximum, physical), factor], physical, 'float32'), isMaximum.shape);
}

/** 1 where an element is the first maximum of its window, else 0; float32 [B,C,H,W]. */
function firstMaximum(graph: Graph, input: Value, output: Value, window: [number, number], block: number): Value {
  const cast = (x: Value) => graph.add('Cast', [x], x.shape, 'float32', { attributes: { to: 1 } });
  const equal = (a: Value, b: Value) => cast(graph.add('Equal', [a, b], a.shape, 'bool'));
  // Ties are common behind ReLU: among the maxima of a window the highest rank wins.
  const candidates = ranked(graph, equal(input, repeat(graph, output, window, block)), window, block);
  const winner = pool(graph, 'MaxPool', candidates, output.shape, block, { kernel_shape: window, strides: window });
  return equal(candidates, repeat(graph, winner, window, block));
}

blockKernel<'dy' | 'input' | 'output', PoolAttributes>('MaxPoolGrad', (graph, { dy, input, output }, attributes) => {
  const window = tiles(input.shape, attributes);
  const block = blockOf([dy, input, output]);
  const mask = firstMaximum(graph, imageOf(graph, input, block), imageOf(graph, output, block), window, block);
  const spread = repeat(graph, imageOf(graph, dy, block), window, block);
  return viewOfImage(graph, graph.add('Mul', [spread, mask], mask.shape, 'float32'), block);
});

blockKernel<'ddx' | 'input' | 'output', PoolAttributes>(MAX_POOL_GRAD_GRAD, (graph, { ddx, input, output }, attributes) => {
  const window = tiles(input.shape, attributes);
  const block = blockOf([ddx, input, output]);
  const pooled = imageOf(graph, output, block);
  const mask = firstMaximum(graph, imageOf(graph, input, block), pooled, window, block);
  const kept = graph.add('Mul', [imageOf(graph, ddx, block), mask], mask.shape, 'float32');
  // One element of a window is not masked, so the mean times the window's size is exact for sizes that are powers of two.
  const mean = pool(graph, 'AveragePool', kept, pooled.shape, block, { kernel_shape: window, strides: window });
  return viewOfImage(graph, graph.add('Mul', [mean, graph.scalar(window[0] * window[1], 'float32')], pooled.shape, 'float32'), block);
});
