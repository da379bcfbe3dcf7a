/**
 * @file Convolution kernels. Logically channels last as in TensorFlow.js, physically channels first. Where the runtime has
 * blocked convolutions (docs/adr/0004), channels that fill whole blocks use them: 80 against 50 GFLOP/s on one AVX2 core.
 */
import type { backend_util } from '@tensorflow/tfjs';
import { capture } from '../capture-backend.ts';
import { BLOCKED_DOMAIN, CHANNELS_FIRST, fromNominal, isBlocked, nominal, unblocked } from '../blocks.ts';
import type { Graph, Value } from '../graph.ts';
import type { OnnxAttribute, OnnxNode } from '../onnx-proto.ts';
import { tf } from '../tensorflow.ts';
import { expanded, stored, uniform, type View } from '../view.ts';
import { blockKernel } from './register.ts';

/** Physical order of an HWIO filter that is held as OIHW. */
const OUTPUT_FIRST = [3, 2, 0, 1] as const;

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

/** x [B,H,W,I] (logically) * w [O,I,kh,kw] -> [B,H',W',O] */
function convolve(graph: Graph, x: View, w: Value, { strides, dilations, pads }: Geometry): View {
  const [batch, height, width, inputs] = x.shape as Shape4;
  const [outputs, , kh, kw] = w.shape as Shape4;
  const length = (size: number, k: number, axis: 0 | 1) =>
    Math.floor((size + pads[axis] + pads[(axis + 2) as 2 | 3] - (dilations[axis] * (k - 1) + 1)) / strides[axis]) + 1;
  const shape = [batch, outputs, length(height, kh, 0), length(width, kw, 1)];
  const attributes = { kernel_shape: [kh, kw], strides, dilations, pads, group: 1 };
  const block = capture().blockSize;
  if (block === 1 || outputs % block !== 0 || (inputs % block !== 0 && inputs > block))
    return channelsFirst(graph.add('Conv', [expanded(graph, unblocked(graph, x), CHANNELS_FIRST), w], shape, 'float32', { attributes }));
  // An image of fewer channels than a block is read as it is.
  const image = inputs < block ? expanded(graph, x, CHANNELS_FIRST) : nominal(graph, x);
  const result = graph.add('Conv', [image, blockedFilter(graph, w, block)], shape, 'float32', {
    domain: BLOCKED_DOMAIN,
    attributes: { ...attributes, auto_pad: 'NOTSET' },
  });
  return fromNominal(graph, result, block);
}

/** The blocked convolution that computes the value of a blocked view, if one does. */
function blockedConvolution(graph: Graph, value: Value): OnnxNode | undefined {
  const reshape = graph.producer(value);
  const node = reshape?.op === 'Reshape' ? graph.producer(graph.value(reshape.inputs[0] as string)) : undefined;
  return node?.op === 'Conv' && node.domain === BLOCKED_DOMAIN ? node : undefined;
}

/** The convolution once more with something added that it can do on the way; the first one is dropped where nothing else needs it. */
function convolutionWith(
  graph: Graph,
  node: OnnxNode,
  inputs: readonly Value[],
  attributes: Readonly<Record<string, OnnxAttribute>>,
): Value {
  const { shape } = graph.value(node.outputs[0] as string);
  const all = [...node.inputs.map((name) => graph.value(name)), ...inputs];
  return graph.add('Conv', all, shape, 'float32', { domain: BLOCKED_DOMAIN, attributes: { ...node.attributes, ...attributes } });
}

/** `a` + `b` where one is a blocked convolution and the other its bias [C]. */
export function withBias(graph: Graph, a: View, b: View): View | undefined {
  if (!isBlocked(a)) return isBlocked(b) ? withBias(graph, b, a) : undefined;
  if (b.kind !== 'stored' || b.shape.length !== 1 || b.value.shape[0] !== a.shape[3]) return undefined;
  const node = blockedConvolution(graph, a.value);
  if (node?.inputs.length !== 2) return undefined;
  return fromNominal(graph, convolutionWith(graph, node, [b.value], {}), a.block);
}

/** ReLU of a value that a blocked convolution with a bias computes. */
export function withActivation(graph: Graph, x: Value): Value | undefined {
  const node = blockedConvolution(graph, x);
  if (node?.inputs.length !== 3 || node.attributes?.activation !== undefined) return undefined;
  return graph.reshape(convolutionWith(graph, node, [], { activation: 'Relu' }), x.shape);
}

/** [O,I,kh,kw] as the blocked convolution reads it: [O/b, I/b, kh, kw, b of I, b of O], or [O/b, I, kh, kw, b of O] for I < b. */
function blockedFilter(graph: Graph, w: Value, block: number): Value {
  const [outputs, inputs, kh, kw] = w.shape as Shape4;
  if (inputs < block)
    return graph.reshape(graph.transpose(graph.reshape(w, [outputs / block, block, inputs, kh, kw]), [0, 2, 3, 4, 1]), w.shape);
  // One axis at a time: the runtime moves a single axis several times as fast as it permutes.
  const inner = graph.transpose(graph.reshape(w, [outputs / block, block, inputs * kh * kw]), [0, 2, 1]);
  const split = graph.reshape(inner, [(outputs * inputs) / block ** 2, block, kh * kw, block]);
  return graph.reshape(graph.transpose(split, [0, 2, 1, 3]), w.shape);
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

blockKernel<'x' | 'filter', ConvAttributes>('Conv2D', (graph, { x, filter }, attributes) =>
  convolve(graph, x, expanded(graph, filter, OUTPUT_FIRST), geometry(x.shape, filter.shape, attributes)),
);

blockKernel<'dy' | 'filter', ConvAttributes & { inputShape: number[] }>('Conv2DBackpropInput', (graph, { dy, filter }, attributes) => {
  const { inputShape } = attributes;
  const { strides, dilations, pads, kernel: size } = geometry(inputShape, filter.shape, attributes);
  if (dy.kind === 'uniform' && dy.fill === 0) return uniform(0, inputShape, 'float32');
  const w = expanded(graph, filter, OUTPUT_FIRST);
  if (strides[0] === 1 && strides[1] === 1) {
    const mirrored = [0, 1, 2, 3].map((i) => dilations[(i % 2) as 0 | 1] * (size[(i % 2) as 0 | 1] - 1) - (pads[i as 0] as number));
    const [outputs, inputs] = w.shape as Shape4;
    const block = capture().blockSize;
    // A few missing channels, such as the image's three, are filled with zero filters so that the blocked convolution applies.
    const filled = block > 1 && outputs % block === 0 ? Math.ceil(inputs / block) * block : inputs;
    const turned = padAxis(graph, rotated(graph, w), 0, filled);
    const result = convolve(graph, dy, turned, {
      strides: [1, 1],
      dilations,
      pads: mirrored as unknown as [number, number, number, number],
    });
    if (filled === inputs) return result;
    return channelsFirst(cutAxis(graph, expanded(graph, unblocked(graph, result), CHANNELS_FIRST), 1, inputs));
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
  const gradient = expanded(graph, unblocked(graph, dy), CHANNELS_FIRST);
  return channelsFirst(graph.add('ConvTranspose', [gradient, w], [n, c, h, width], 'float32', { attributes: attributesOut }));
});

/**
 * Filter gradient as a convolution: the batch takes the place of the channels, dy that of the filter.
 * dw[o,i,:,:] = conv(x[:,i] as channels, dy[:,o] as filter), strides and dilations exchanged.
 */
blockKernel<'x' | 'dy', ConvAttributes & { filterShape: number[] }>('Conv2DBackpropFilter', (graph, { x, dy }, attributes) => {
  const { filterShape } = attributes;
  const { strides, dilations, pads } = geometry(x.shape, filterShape, attributes);
  if ((dy.kind === 'uniform' && dy.fill === 0) || (x.kind === 'uniform' && x.fill === 0)) return uniform(0, filterShape, 'float32');
  const [kh, kw, inputs, outputs] = filterShape as Shape4;
  const [batch, height, width] = dy.shape as Shape4;
  const block = capture().blockSize;
  const image = graph.transpose(expanded(graph, unblocked(graph, x), CHANNELS_FIRST), [1, 0, 2, 3]);
  const [, , imageHeight, imageWidth] = image.shape as Shape4;
  const [top, left, bottom, right] = pads;
  const reach = (size: number, side: 0 | 1, length: number) =>
    Math.floor((size - (strides[side] * (length - 1) + 1)) / dilations[side]) + 1;
  const resultShape = [inputs, outputs, reach(imageHeight + top + bottom, 0, height), reach(imageWidth + left + right, 1, width)];
  const exchanged = { kernel_shape: [height, width], strides: dilations, dilations: strides, pads: [0, 0, 0, 0], group: 1 };
  let result: Value;
  if (block > 1 && batch % block === 0 && outputs % block === 0) {
    const split = graph.reshape(nominal(graph, dy), [batch / block, block, outputs / block, height * width, block]);
    const filter = graph.reshape(graph.transpose(split, [2, 0, 3, 1, 4]), [outputs, batch, height, width]);
    // Padded in blocks, where rows are longer.
    const blocks = graph.add('ReorderInput', [image], image.shape, 'float32', { domain: BLOCKED_DOMAIN });
    const rows = graph.reshape(blocks, [(inputs * batch) / block, imageHeight, imageWidth * block]);
    const padded = padSides(graph, rows, [top, left * block, bottom, right * block]);
    const nominalShape = [inputs, batch, imageHeight + top + bottom, imageWidth + left + right];
    const blocked = graph.add('Conv', [graph.reshape(padded, nominalShape), filter], resultShape, 'float32', {
      domain: BLOCKED_DOMAIN,
      attributes: { ...exchanged, auto_pad: 'NOTSET' },
    });
    result = graph.add('ReorderOutput', [blocked], resultShape, 'float32', { domain: BLOCKED_DOMAIN, attributes: { channels: outputs } });
  } else {
    const gradient = graph.transpose(expanded(graph, unblocked(graph, dy), CHANNELS_FIRST), [1, 0, 2, 3]);
    result = graph.add('Conv', [padSides(graph, image, pads), gradient], resultShape, 'float32', { attributes: exchanged });
  }
  const exact = cutAxis(graph, cutAxis(graph, result, 2, kh), 3, kw);
  return stored(exact, 'float32', filterShape, [2, 3, 0, 1]);
});

/** [..., H, W] with zeros around the image. */
function padSides(graph: Graph, x: Value, [top, left, bottom, right]: readonly [number, number, number, number]): Value {
  if (top + left + bottom + right === 0) return x;
  const [h, w] = x.shape.slice(-2) as [number, number];
  const others = x.shape.slice(0, -2);
  const none = others.map(() => 0);
  const pads = graph.integers([...none, top, left, ...none, bottom, right]);
  return graph.add('Pad', [x, pads], [...others, h + top + bottom, w + left + right], x.type);
}
