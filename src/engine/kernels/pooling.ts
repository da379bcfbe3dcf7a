/**
 * @file Max-pooling and its first and second gradient. The position of each window's maximum is a mask made of a few
 * element-wise operations: the runtime's own pooling with indices costs more than the whole mask.
 */
import { DeepDefenseError } from '../../core/index.ts';
import { capture } from '../capture-backend.ts';
import type { Graph, Value } from '../graph.ts';
import { MAX_POOL_GRAD_GRAD, type PoolAttributes } from '../missing-gradients.ts';
import { tf } from '../tensorflow.ts';
import { expanded, stored, type View } from '../view.ts';
import { CHANNELS_FIRST } from './convolution.ts';
import { kernel } from './register.ts';

type Shape4 = [number, number, number, number];

function poolInfo(inputShape: readonly number[], { filterSize, strides, pad, dimRoundingMode }: PoolAttributes) {
  return tf.backend_util.computePool2DInfo([...inputShape] as Shape4, filterSize, strides, 1, pad, dimRoundingMode);
}

const nhwc = (value: Value): View => {
  const [n, c, h, w] = value.shape as Shape4;
  return stored(value, 'float32', [n, h, w, c], CHANNELS_FIRST);
};

kernel<'x', PoolAttributes>('MaxPool', (graph, { x }, attributes) => {
  const info = poolInfo(x.shape, attributes);
  const { top, left, bottom, right } = info.padInfo;
  const value = expanded(graph, x, CHANNELS_FIRST);
  return nhwc(
    graph.add('MaxPool', [value], [info.batchSize, info.inChannels, info.outHeight, info.outWidth], 'float32', {
      attributes: {
        kernel_shape: [info.filterHeight, info.filterWidth],
        strides: [info.strideHeight, info.strideWidth],
        pads: [top, left, bottom, right],
      },
    }),
  );
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
function repeat(graph: Graph, x: Value, [kh, kw]: [number, number]): Value {
  const [n, c, h, w] = x.shape as Shape4;
  const scales = graph.constant(Float32Array.of(1, 1, kh, kw), [4], 'float32');
  return graph.add('Resize', [x, undefined, scales], [n, c, h * kh, w * kw], x.type, {
    attributes: { mode: 'nearest', nearest_mode: 'floor', coordinate_transformation_mode: 'asymmetric' },
  });
}

/** 1 where an element is the first maximum of its window, else 0; float32 [B,C,H,W]. */
function firstMaximum(graph: Graph, input: Value, output: Value, window: [number, number]): Value {
  const [, , height, width] = input.shape as Shape4;
  const [kh, kw] = window;
  const cast = (x: Value) => graph.add('Cast', [x], x.shape, 'float32', { attributes: { to: 1 } });
  const equal = (a: Value, b: Value) => cast(graph.add('Equal', [a, b], a.shape, 'bool'));
  const isMaximum = equal(input, repeat(graph, output, window));
  // Ties are common behind ReLU. Each maximum is given a rank, higher the earlier it comes; the highest rank of a window wins.
  const ranks = Float32Array.from({ length: height * width }, (_, i) => kh * kw - ((Math.floor(i / width) % kh) * kw + ((i % width) % kw)));
  const ranked = graph.add('Mul', [isMaximum, graph.constant(ranks, [1, 1, height, width], 'float32')], input.shape, 'float32');
  const winner = graph.add('MaxPool', [ranked], output.shape, 'float32', { attributes: { kernel_shape: window, strides: window } });
  return equal(ranked, repeat(graph, winner, window));
}

kernel<'dy' | 'input' | 'output', PoolAttributes>('MaxPoolGrad', (graph, { dy, input, output }, attributes) => {
  const window = tiles(input.shape, attributes);
  const mask = firstMaximum(graph, expanded(graph, input, CHANNELS_FIRST), expanded(graph, output, CHANNELS_FIRST), window);
  const spread = repeat(graph, expanded(graph, dy, CHANNELS_FIRST), window);
  return nhwc(graph.add('Mul', [spread, mask], mask.shape, 'float32'));
});

kernel<'ddx' | 'input' | 'output', PoolAttributes>(MAX_POOL_GRAD_GRAD, (graph, { ddx, input, output }, attributes) => {
  const window = tiles(input.shape, attributes);
  const pooled = expanded(graph, output, CHANNELS_FIRST);
  const mask = firstMaximum(graph, expanded(graph, input, CHANNELS_FIRST), pooled, window);
  const kept = graph.add('Mul', [expanded(graph, ddx, CHANNELS_FIRST), mask], mask.shape, 'float32');
  // One element of a window is not masked, so the mean times the window's size is exact for sizes that are powers of two.
  const mean = graph.add('AveragePool', [kept], pooled.shape, 'float32', { attributes: { kernel_shape: window, strides: window } });
  return nhwc(graph.add('Mul', [mean, graph.scalar(window[0] * window[1], 'float32')], pooled.shape, 'float32'));
});
