/**
 * @file A network as a list of primitive operations, as plain data. `nn` computes it, exports it and cuts its parameters from one such
 * list, so that these can't disagree.
 */
import type { DenoiseFilter } from './schema.ts';

/** Position of an operation in the list. */
export type OperationIndex = number;

/** What one operation computes from the results of earlier ones. `name` is the prefix of its parameters. */
export type OperationDetail =
  | { readonly kind: 'input' }
  /** Square kernel, zero padding of (size - 1) / 2 on every side. */
  | {
      readonly kind: 'conv';
      readonly name: string;
      readonly inChannels: number;
      readonly outChannels: number;
      readonly size: 1 | 3;
      readonly stride: 1 | 2;
      readonly bias: boolean;
    }
  | { readonly kind: 'norm'; readonly name: string; readonly norm: 'group' | 'batch'; readonly channels: number }
  | { readonly kind: 'relu' }
  /** 2x2, stride 2. */
  | { readonly kind: 'maxPool' }
  /** Mean over the pixels: [H,W,C] to [C]. */
  | { readonly kind: 'globalAveragePool' }
  /** The sum of two results. */
  | { readonly kind: 'add'; readonly other: OperationIndex }
  /**
   * A feature-denoising block (Xie et al. 2019, arXiv 1812.03411, section 4): h + conv1x1(filter(h)). Its parameters are
   * `<name>.denoise.weight` and `<name>.denoise.bias`.
   */
  | { readonly kind: 'denoise'; readonly name: string; readonly channels: number; readonly filter: DenoiseFilter }
  /** Of an image, in the order c,h,w. */
  | { readonly kind: 'dense'; readonly name: string; readonly inFeatures: number; readonly outFeatures: number }
  /** Nothing; the result is the feature `name`. */
  | { readonly kind: 'feature'; readonly name: string };

export type DenoiseOperation = Extract<OperationDetail, { kind: 'denoise' }>;
export type NormOperation = Extract<OperationDetail, { kind: 'norm' }>;

/** One operation with its operand (itself for `input`) and the shape of its result without the batch: [H,W,C] or [F]. */
export type Operation = OperationDetail & { readonly from: OperationIndex; readonly shape: readonly number[] };

/** Collects operations; each method takes the last result as operand unless told otherwise, and returns the new one's index. */
export class OperationList {
  readonly operations: Operation[] = [];

  constructor(inputShape: readonly number[]) {
    this.operations.push({ kind: 'input', from: 0, shape: inputShape });
  }

  get last(): OperationIndex {
    return this.operations.length - 1;
  }

  append(detail: OperationDetail, from: OperationIndex = this.last): OperationIndex {
    const operand = this.operations[from] as Operation;
    this.operations.push({ ...detail, from, shape: resultShape(detail, operand.shape) });
    return this.last;
  }
}

function resultShape(detail: OperationDetail, shape: readonly number[]): readonly number[] {
  const [height, width, channels] = shape as [number, number, number];
  switch (detail.kind) {
    case 'conv':
      return [Math.ceil(height / detail.stride), Math.ceil(width / detail.stride), detail.outChannels];
    case 'maxPool':
      return [height / 2, width / 2, channels];
    case 'globalAveragePool':
      return [channels];
    case 'dense':
      return [detail.outFeatures];
    default:
      return shape;
  }
}
