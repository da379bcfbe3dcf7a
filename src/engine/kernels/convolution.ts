/**
 * @file Convolution kernels. Logically channels last as in TensorFlow.js, physically channels first. Where the runtime has
 * blocked convolutions (docs/adr/0004), channels that fill whole blocks use them: 80 against 50 GFLOP/s on one AVX2 core.
 */
import type { backend_util } from '@tensorflow/tfjs';
import { capture } from '../capture-backend.ts';
import type { Graph, Value } from '../graph.ts';
import { tf } from '../tensorflow.ts';
import { expanded, stored, uniform, type View } from '../view.ts';
import { kernel } from './register.ts';

/** Physical order of an NHWC tensor that is held as NCHW. */
export const CHANNELS_FIRST = [0, 3, 1, 2] as const;
/** Physical order of an HWIO filter that is held as OIHW. */
const OUTPUT_FIRST = [3, 2, 0, 1] as const;
/** Operator set of the blocked convolutions inside ONNX Runtime. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';

interface ConvAttributes {
  strides: [number, number] | number;
  pad: 'valid' | 'same' | number | backend_util.ExplicitPadding;
  dilations?: [number, number] | number;
  dataFormat?: 'NHWC' | 'NCHW';
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

type Shape4 = [number, number, number, number];

/** Geometry of a convolution, as the library computes it. */
function geometry(inputShape: readonly number[], filterShape: readonly number[], attributes: ConvAttributes) {
  const info = tf.backend_util.computeConv2DInfo(
    [...inputShape] as Shape4,
    [...filterShape] as Shape4,
    attributes.strides,
    attributes.dilations ?? 1,
    attributes.pad,
    attributes.dimRoundingMode,
  );
  return {
    outShape: info.outShape as Shape4,
    strides: [info.strideHeight, info.strideWidth] as const,
    dilations: [info.dilationHeight, info.dilationWidth] as const,
    kernel: [info.filterHeight, info.filterWidth] as const,
    /** top, left, bottom, right */
    pads: [info.padInfo.top, info.padInfo.left, info.padInfo.bottom, info.padInfo.right] as const,
  };
}

interface Geometry {
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

/** NHWC view over a channels-first value. */
const channelsFirst = (value: Value): View => {
  const [n, c, h, w] = value.shape as Shape4;
  return stored(value, 'float32', [n, h, w, c], CHANNELS_FIRST);
};

/** x [B,I,H,W] * w [O,I,kh,kw] -> [B,O,H',W'] */
function convolve(graph: Graph, x: Value, w: Value, { strides, dilations, pads }: Geometry): Value {
  const [batch, inputs, height, width] = x.shape as Shape4;
  const [outputs, , kh, kw] = w.shape as Shape4;
  const length = (size: number, k: number, axis: 0 | 1) =>
    Math.floor((size + pads[axis] + pads[(axis + 2) as 2 | 3] - (dilations[axis] * (k - 1) + 1)) / strides[axis]) + 1;
  const shape = [batch, outputs, length(height, kh, 0), length(width, kw, 1)];
  const attributes = { kernel_shape: [kh, kw], strides, dilations, pads, group: 1 };
  const block = capture().blockSize;
  if (block > 1 && inputs % block === 0 && outputs % block === 0) {
    const filter = blockedFilter(graph, w, block);
    const result = graph.add('Conv', [blockedImage(graph, x), filter], shape, 'float32', {
      domain: BLOCKED_DOMAIN,
      attributes: { ...attributes, auto_pad: 'NOTSET' },
    });
    return graph.add('ReorderOutput', [result], shape, 'float32', { domain: BLOCKED_DOMAIN, attributes: { channels: outputs } });
  }
  return graph.add('Conv', [x, w], shape, 'float32', { attributes });
}

/** [B,C,H,W] with channels in blocks; the shape stays, the order in memory changes. */
function blockedImage(graph: Graph, x: Value): Value {
  return graph.add('ReorderInput', [x], x.shape, 'float32', { domain: BLOCKED_DOMAIN });
}

/** [O,I,kh,kw] as the blocked convolution reads it: [O/b, I/b, kh, kw, b of I, b of O]. */
function blockedFilter(graph: Graph, w: Value, block: number): Value {
  const [outputs, inputs, kh, kw] = w.shape as Shape4;
  const split = graph.reshape(w, [outputs / block, block, inputs / block, block, kh, kw]);
  return graph.reshape(graph.transpose(split, [0, 2, 4, 5, 3, 1]), w.shape);
}

/** The filter of the input gradient: channels swapped, rotated by 180 degrees. w [O,I,kh,kw] -> [I,O,kh,kw] */
function rotated(graph: Graph, w: Value): Value {
  const swapped = graph.transpose(w, [1, 0, 2, 3]);
  if (w.shape[2] === 1 && w.shape[3] === 1) return swapped;
  const back = graph.integers([-1, -1]);
  return graph.add(
    'Slice',
    [swapped, back, graph.integers([-(2 ** 31), -(2 ** 31)]), graph.integers([2, 3]), back],
    swapped.shape,
    'float32',
  );
}

/** `value` with zeros appended along a physical axis up to `length`. */
function padAxis(graph: Graph, value: Value, axis: number, length: number): Value {
  const missing = length - (value.shape[axis] as number);
  if (missing === 0) return value;
  const shape = value.shape.map((n, i) => (i === axis ? length : n));
  const pads = [...value.shape.map(() => 0), ...value.shape.map((_, i) => (i === axis ? missing : 0))];
  return graph.add('Pad', [value, graph.integers(pads)], shape, value.type);
}

/** The first `length` entries of a physical axis. */
function cutAxis(graph: Graph, value: Value, axis: number, length: number): Value {
  if (value.shape[axis] === length) return value;
  const shape = value.shape.map((n, i) => (i === axis ? length : n));
  return graph.add('Slice', [value, graph.integers([0]), graph.integers([length]), graph.integers([axis])], shape, value.type);
}

kernel<'x' | 'filter', ConvAttributes>('Conv2D', (graph, { x, filter }, attributes) => {
  const shape = geometry(x.shape, filter.shape, attributes);
  return channelsFirst(convolve(graph, expanded(graph, x, CHANNELS_FIRST), expanded(graph, filter, OUTPUT_FIRST), shape));
});

kernel<'dy' | 'filter', ConvAttributes & { inputShape: number[] }>('Conv2DBackpropInput', (graph, { dy, filter }, attributes) => {
  const { inputShape } = attributes;
  const { strides, dilations, pads, kernel: size } = geometry(inputShape, filter.shape, attributes);
  if (dy.kind === 'uniform' && dy.fill === 0) return uniform(0, inputShape, 'float32');
  const gradient = expanded(graph, dy, CHANNELS_FIRST);
  const w = expanded(graph, filter, OUTPUT_FIRST);
  if (strides[0] === 1 && strides[1] === 1) {
    const mirrored = [0, 1, 2, 3].map((i) => dilations[(i % 2) as 0 | 1] * (size[(i % 2) as 0 | 1] - 1) - (pads[i as 0] as number));
    const [outputs, inputs] = w.shape as Shape4;
    const block = capture().blockSize;
    // A few missing channels, such as the image's three, are filled with zero filters so that the blocked convolution applies.
    const filled = block > 1 && outputs % block === 0 ? Math.ceil(inputs / block) * block : inputs;
    const turned = padAxis(graph, rotated(graph, w), 0, filled);
    const result = convolve(graph, gradient, turned, {
      strides: [1, 1],
      dilations,
      pads: mirrored as unknown as [number, number, number, number],
    });
    return channelsFirst(cutAxis(graph, result, 1, inputs));
  }
  const [n, h, width, c] = inputShape as Shape4;
  const reach = [0, 1].map(
    (i) =>
      ((dy.shape[i + 1] as number) - 1) * strides[i as 0 | 1] +
      dilations[i as 0 | 1] * (size[i as 0 | 1] - 1) +
      1 -
      pads[i as 0 | 1] -
      pads[(i + 2) as 2 | 3],
  );
  const attributesOut = {
    kernel_shape: size,
    strides,
    dilations,
    pads,
    group: 1,
    output_padding: [h - (reach[0] as number), width - (reach[1] as number)],
  };
  return channelsFirst(graph.add('ConvTranspose', [gradient, w], [n, c, h, width], 'float32', { attributes: attributesOut }));
});

/**
 * Filter gradient as a convolution: the batch takes the place of the channels, dy that of the filter.
 * dw[o,i,:,:] = conv(x[:,i] as channels, dy[:,o] as filter), strides and dilations exchanged.
 */
kernel<'x' | 'dy', ConvAttributes & { filterShape: number[] }>('Conv2DBackpropFilter', (graph, { x, dy }, attributes) => {
  const { filterShape } = attributes;
  const { strides, dilations, pads } = geometry(x.shape, filterShape, attributes);
  if ((dy.kind === 'uniform' && dy.fill === 0) || (x.kind === 'uniform' && x.fill === 0)) return uniform(0, filterShape, 'float32');
  const [kh, kw, inputs, outputs] = filterShape as Shape4;
  const image = expanded(graph, x, CHANNELS_FIRST);
  const gradient = expanded(graph, dy, CHANNELS_FIRST);
  const [batch, , height, width] = gradient.shape as Shape4;
  const block = capture().blockSize;
  const transposed = graph.transpose(image, [1, 0, 2, 3]);
  const padded = pads.some((p) => p > 0) ? padImage(graph, transposed, pads) : transposed;
  let result: Value;
  const exchanged = { kernel_shape: [height, width], strides: dilations, dilations: strides, pads: [0, 0, 0, 0], group: 1 };
  const resultShape = [
    inputs,
    outputs,
    ...[0, 1].map(
      (i) =>
        Math.floor(
          ((padded.shape[i + 2] as number) - (strides[i as 0 | 1] * ((gradient.shape[i + 2] as number) - 1) + 1)) / dilations[i as 0 | 1],
        ) + 1,
    ),
  ];
  if (block > 1 && batch % block === 0 && outputs % block === 0) {
    const split = graph.reshape(blockedImage(graph, gradient), [batch / block, block, outputs / block, height * width, block]);
    const filter = graph.reshape(graph.transpose(split, [2, 0, 3, 1, 4]), [outputs, batch, height, width]);
    const blocked = graph.add('Conv', [blockedImage(graph, padded), filter], resultShape, 'float32', {
      domain: BLOCKED_DOMAIN,
      attributes: { ...exchanged, auto_pad: 'NOTSET' },
    });
    result = graph.add('ReorderOutput', [blocked], resultShape, 'float32', { domain: BLOCKED_DOMAIN, attributes: { channels: outputs } });
  } else {
    result = graph.add('Conv', [padded, graph.transpose(gradient, [1, 0, 2, 3])], resultShape, 'float32', { attributes: exchanged });
  }
  const exact = cutAxis(graph, cutAxis(graph, result, 2, kh), 3, kw);
  return stored(exact, 'float32', filterShape, [2, 3, 0, 1]);
});

/** [B,C,H,W] with zeros around the image. */
function padImage(graph: Graph, x: Value, [top, left, bottom, right]: readonly [number, number, number, number]): Value {
  const [n, c, h, w] = x.shape as Shape4;
  return graph.add('Pad', [x, graph.integers([0, 0, top, left, 0, 0, bottom, right])], [n, c, h + top + bottom, w + left + right], x.type);
}
