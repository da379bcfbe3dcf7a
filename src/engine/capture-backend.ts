/**
 * @file A TensorFlow.js backend whose kernels append graph nodes instead of computing. Running a program once under it,
 * the library's own automatic differentiation included, yields the whole step as one graph.
 */
import type { BackendValues, DataId, DataType, TensorInfo } from '@tensorflow/tfjs';
import { DeepDefenseError } from '../core/index.ts';
import type { Graph } from './graph.ts';
import { tf } from './tensorflow.ts';
import { plain, uniform, type View, type ViewType } from './view.ts';

export const CAPTURE_BACKEND = 'deepdefense-capture';

/** What the library calls a data id; here it carries the view. */
interface CapturedData {
  readonly view: View;
  /** Kernel that made it, for error messages. */
  readonly kernel: string;
}

/** What a graph is captured for. */
export interface Capture {
  readonly program: string;
  readonly graph: Graph;
  /** Channels per block of the runtime's blocked convolution, 1 where it has none. */
  readonly blockSize: number;
}

let current: Capture | undefined;

/** The capture under way. */
export function capture(): Capture {
  if (!current) throw new Error('no capture is under way');
  return current;
}

/** Runs `body` with the capture backend active and restores the previous backend. Not re-entrant. */
export function withCapture<T>(started: Capture, body: () => T): T {
  if (current) throw new Error(`capture of "${started.program}" inside that of "${current.program}"`);
  const previous = tf.getBackend() ?? 'cpu';
  current = started;
  try {
    // Both backends start synchronously, so the promise has nothing left to do.
    void tf.setBackend(CAPTURE_BACKEND);
    return body();
  } finally {
    current = undefined;
    void tf.setBackend(previous);
  }
}

export const viewType = (dtype: string): ViewType => {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new DeepDefenseError('ENGINE_UNSUPPORTED_OP', {
    what: `program "${current?.program}" uses dtype "${dtype}"`,
    expected: 'float32, int32 or bool',
    todo: 'cast to one of these',
  });
};

/** The view behind a tensor of the capture. */
export function viewOf(tensor: TensorInfo): View {
  return (tensor.dataId as unknown as CapturedData).view;
}

/** A tensor for the library over a view. */
export function tensorInfo(view: View, kernel: string): TensorInfo {
  const data: CapturedData = { view, kernel };
  return { dataId: data as unknown as DataId, shape: [...view.shape], dtype: view.type };
}

class CaptureBackend extends tf.KernelBackend {
  override write(values: BackendValues, shape: number[], dtype: DataType): DataId {
    const type = viewType(dtype);
    const numbers = values as ArrayLike<number>;
    const first = numbers[0];
    const data: CapturedData =
      numbers.length > 0 && first !== undefined && Array.prototype.every.call(numbers, (value: number) => value === first)
        ? { view: uniform(Number(first), shape, type), kernel: 'constant' }
        : { view: plain(capture().graph.constant(typed(numbers, type), shape, type), type), kernel: 'constant' };
    return data as unknown as DataId;
  }

  override move(dataId: DataId, values: BackendValues, shape: number[], dtype: DataType): void {
    Object.assign(dataId, this.write(values, shape, dtype));
  }

  override readSync(dataId: object): never {
    throw readError((dataId as CapturedData).kernel);
  }

  override async read(dataId: object): Promise<never> {
    throw readError((dataId as CapturedData).kernel);
  }

  override numDataIds(): number {
    return 0;
  }
  override disposeData(): boolean {
    return true;
  }
  override incRef(): void {}
  decRef(): void {}
  override refCount(): number {
    return 1;
  }
  override timerAvailable(): boolean {
    return false;
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }
}

function typed(values: ArrayLike<number>, type: ViewType): Float32Array | Int32Array | Uint8Array {
  if (type === 'float32') return Float32Array.from(values);
  return type === 'int32' ? Int32Array.from(values) : Uint8Array.from(values);
}

function readError(kernel: string): DeepDefenseError {
  return new DeepDefenseError('ENGINE_READ_DURING_CAPTURE', {
    what: `program "${current?.program}" reads the value of a result of "${kernel}" while it is being captured`,
    expected: 'a program whose control flow does not depend on tensor values',
    todo: 'use tensor operations such as tf.where, or move the decision out of the program',
  });
}

tf.registerBackend(CAPTURE_BACKEND, () => new CaptureBackend(), 0);
