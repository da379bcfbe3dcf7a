/** @file Reused buffers of one batch of images, labels and one-hot targets. */
import type { TensorValue } from '../core/index.ts';
import { IMAGE_SIDE } from '../data/index.ts';

/** Buffers are written in place; programs read them when they run. */
export class LabelledBatch {
  readonly size: number;
  /** [size,32,32,3] float32 in [0,1]. */
  readonly image: TensorValue & { readonly data: Float32Array };
  /** [size,classes] float32 one-hot. */
  readonly target: TensorValue & { readonly data: Float32Array };
  /** [size], filled beside the images. */
  readonly labels: Int32Array;

  constructor(size: number, classes: number) {
    this.size = size;
    const shape = [size, IMAGE_SIDE, IMAGE_SIDE, 3];
    this.image = { shape, dtype: 'float32', data: new Float32Array(size * IMAGE_SIDE * IMAGE_SIDE * 3) };
    this.target = { shape: [size, classes], dtype: 'float32', data: new Float32Array(size * classes) };
    this.labels = new Int32Array(size);
  }

  /** Writes the one-hot targets of the first `count` labels; the rest becomes zero. */
  encodeLabels(count: number = this.size): void {
    const classes = this.target.shape[1] as number;
    this.target.data.fill(0);
    for (let i = 0; i < count; i++) this.target.data[i * classes + (this.labels[i] as number)] = 1;
  }
}
