/**
 * @file Gradients that TensorFlow.js lacks and that double backpropagation needs, and the one kernel they need on the
 * library's `cpu` backend.
 */
import * as tf from '@tensorflow/tfjs';

/** Kernel that gathers `ddx` at the position that MaxPoolGrad scattered `dy` to; the adjoint of MaxPoolGrad in `dy`. */
export const MAX_POOL_GRAD_GRAD = 'MaxPoolGradGrad';

/** Attributes of the max-pool kernels. */
export interface PoolAttributes {
  filterSize: [number, number] | number;
  strides: [number, number] | number;
  pad: 'valid' | 'same' | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

const run = (kernel: string, inputs: tf.NamedTensorMap, attributes: unknown): tf.Tensor =>
  tf.engine().runKernel(kernel, inputs, attributes as tf.NamedAttrMap) as tf.Tensor;

// MaxPoolGrad is linear in dy; the positions depend on input and output piecewise constantly, so their gradients are zero.
tf.registerGradient({
  kernelName: 'MaxPoolGrad',
  inputsToSave: ['dy', 'input', 'output'],
  gradFunc: (ddx, saved, attributes) => {
    const [, input, output] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
    return {
      dy: () => run(MAX_POOL_GRAD_GRAD, { ddx: ddx as tf.Tensor, input, output }, attributes),
      input: () => tf.zerosLike(input),
      output: () => tf.zerosLike(output),
    };
  },
});

tf.registerGradient({
  kernelName: MAX_POOL_GRAD_GRAD,
  inputsToSave: ['ddx', 'input', 'output'],
  gradFunc: (dy, saved, attributes) => {
    const [, input, output] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
    return {
      ddx: () => run('MaxPoolGrad', { dy: dy as tf.Tensor, input, output }, attributes),
      input: () => tf.zerosLike(input),
      output: () => tf.zerosLike(output),
    };
  },
});

// The filter gradient is bilinear in x and dy.
tf.registerGradient({
  kernelName: 'Conv2DBackpropFilter',
  inputsToSave: ['x', 'dy'],
  gradFunc: (ddw, saved, attributes) => {
    const [x, dy] = saved as [tf.Tensor4D, tf.Tensor4D];
    const { strides, pad, dimRoundingMode } = attributes as unknown as {
      strides: [number, number];
      pad: 'valid' | 'same' | number;
      dimRoundingMode?: 'floor' | 'round' | 'ceil';
    };
    const filter = ddw as tf.Tensor4D;
    return {
      x: () => run('Conv2DBackpropInput', { dy, filter }, { strides, pad, dimRoundingMode, inputShape: x.shape, dataFormat: 'NHWC' }),
      dy: () => tf.conv2d(x, filter, strides, pad, 'NHWC', 1, dimRoundingMode),
    };
  },
});

// Comparisons and logic are piecewise constant; without a gradient of zero the tape refuses programs that mask.
const zeros = (x: tf.Tensor) => () => tf.zeros(x.shape);
for (const kernelName of ['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'LogicalAnd', 'LogicalOr'])
  tf.registerGradient({
    kernelName,
    inputsToSave: ['a', 'b'],
    gradFunc: (_, saved) => {
      const [a, b] = saved as [tf.Tensor, tf.Tensor];
      return { a: zeros(a), b: zeros(b) };
    },
  });
tf.registerGradient({ kernelName: 'LogicalNot', inputsToSave: ['x'], gradFunc: (_, saved) => ({ x: zeros(saved[0] as tf.Tensor) }) });

// The library's own gradients of these use the saved output, which its tape takes for a constant: their second derivatives
// come out wrong without an error. Computing the output again from the input is right, and free once captured.
const fromInput = (kernelName: string, input: string, gradient: (dy: tf.Tensor, x: tf.Tensor, attributes: unknown) => tf.Tensor): void =>
  tf.registerGradient({
    kernelName,
    inputsToSave: [input],
    gradFunc: (dy, saved, attributes) => ({ [input]: () => gradient(dy as tf.Tensor, saved[0] as tf.Tensor, attributes) }),
  });

// Not wrong, but the factor belongs to dy, which is often one number per sample.
fromInput('Square', 'x', (dy, x) => tf.mul(tf.mul(dy, 2), x));
fromInput('Exp', 'x', (dy, x) => tf.mul(dy, tf.exp(x)));
fromInput('Rsqrt', 'x', (dy, x) => {
  const y = tf.rsqrt(x);
  return tf.mul(dy, tf.mul(-0.5, tf.mul(y, tf.square(y))));
});
fromInput('Tanh', 'x', (dy, x) => tf.mul(dy, tf.sub(1, tf.square(tf.tanh(x)))));
fromInput('Sigmoid', 'x', (dy, x) => {
  const y = tf.sigmoid(x);
  return tf.mul(dy, tf.mul(y, tf.sub(1, y)));
});
fromInput('Softmax', 'logits', (dy, logits, attributes) => {
  const { dim } = attributes as { dim: number };
  const y = tf.softmax(logits, dim);
  const weighted = tf.mul(dy, y);
  return tf.sub(weighted, tf.mul(tf.sum(weighted, dim, true), y));
});

interface CpuBackend {
  readSync(dataId: object): Float32Array;
  makeTensorInfo(shape: number[], dtype: string, values: Float32Array): tf.TensorInfo;
}

tf.registerKernel({
  kernelName: MAX_POOL_GRAD_GRAD,
  backendName: 'cpu',
  kernelFunc: ({ inputs, backend, attrs }) => {
    const { ddx, input, output } = inputs as { ddx: tf.TensorInfo; input: tf.TensorInfo; output: tf.TensorInfo };
    const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as PoolAttributes;
    const cpu = backend as unknown as CpuBackend;
    const info = tf.backend_util.computePool2DInfo(
      input.shape as [number, number, number, number],
      filterSize,
      strides,
      1,
      pad,
      dimRoundingMode,
    );
    const from = cpu.readSync(ddx.dataId);
    const values = cpu.readSync(input.dataId);
    const [batch, height, width, channels] = input.shape as [number, number, number, number];
    const result = new Float32Array(tf.util.sizeFromShape(output.shape));
    let to = 0;
    for (let b = 0; b < batch; b++)
      for (let y = 0; y < info.outHeight; y++)
        for (let x = 0; x < info.outWidth; x++)
          for (let c = 0; c < channels; c++) {
            let best = Number.NEGATIVE_INFINITY;
            let at = -1;
            for (let i = 0; i < info.filterHeight; i++)
              for (let j = 0; j < info.filterWidth; j++) {
                const row = y * info.strideHeight - info.padInfo.top + i;
                const column = x * info.strideWidth - info.padInfo.left + j;
                if (row < 0 || row >= height || column < 0 || column >= width) continue;
                const index = ((b * height + row) * width + column) * channels + c;
                // The first maximum wins a tie, as in MaxPoolGrad and in PyTorch.
                if ((values[index] as number) > best) {
                  best = values[index] as number;
                  at = index;
                }
              }
            result[to++] = at < 0 ? 0 : (from[at] as number);
          }
    return cpu.makeTensorInfo(output.shape, 'float32', result);
  },
});
