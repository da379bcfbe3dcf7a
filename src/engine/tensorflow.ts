/**
 * @file The one import of TensorFlow.js. Adds what double backpropagation through max-pooling needs: MaxPoolGrad has no
 * gradient of its own in the library.
 */
import * as tf from '@tensorflow/tfjs';

// Production mode drops the library's greeting on the console and its NaN scans.
tf.enableProdMode();

/** Kernel that gathers `ddx` at the position that MaxPoolGrad scattered `dy` to; the adjoint of MaxPoolGrad in `dy`. */
export const MAX_POOL_GRAD_GRAD = 'MaxPoolGradGrad';

/** Attributes of the max-pool kernels. */
export interface PoolAttributes {
  filterSize: [number, number] | number;
  strides: [number, number] | number;
  pad: 'valid' | 'same' | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

// MaxPoolGrad is linear in dy; the positions depend on input and output piecewise constantly, so their gradients are zero.
tf.registerGradient({
  kernelName: 'MaxPoolGrad',
  inputsToSave: ['dy', 'input', 'output'],
  gradFunc: (ddx, saved, attributes) => {
    const [, input, output] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
    return {
      dy: () => tf.engine().runKernel(MAX_POOL_GRAD_GRAD, { ddx: ddx as tf.Tensor, input, output }, attributes) as tf.Tensor,
      input: () => tf.zerosLike(input),
      output: () => tf.zerosLike(output),
    };
  },
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
    const info = tf.backend_util.computePool2DInfo(input.shape as [number, number, number, number], filterSize, strides, 1, pad, dimRoundingMode);
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

export { tf };
