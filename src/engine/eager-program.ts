/** @file Runs a program operation by operation on one of TensorFlow.js' backends: what the eager engines share. */
import type { TensorSpec, TensorValue } from '../core/index.ts';
import { checkInputs } from './check-inputs.ts';
import { tf } from './tensorflow.ts';
import type { CompiledProgram, Program, TensorValues } from './types.ts';

/** What an engine sets for its programs. */
export interface EagerOptions {
  /** Name of a backend that is ready, e.g. `cpu`. */
  readonly backend: string;
  /** What to throw in place of an error of the backend; the error itself where left out. */
  readonly wrapError?: (program: Program, error: unknown) => unknown;
}

/** The program on the backend. Its outputs are known after the first run only. */
export function compileEager(program: Program, { backend, wrapError = (_, error) => error }: EagerOptions): CompiledProgram {
  let specs: readonly TensorSpec[] | undefined;
  return {
    name: program.name,
    get outputs() {
      if (!specs) throw new Error(`eager program "${program.name}" knows its outputs after the first run only`);
      return specs;
    },
    compileMs: { capture: 0, session: 0 },
    run: async (inputs) => {
      const values = checkInputs(program.name, program.inputs, inputs);
      // Takes effect at once for a backend that is ready; waiting would let a program of another engine in between.
      void tf.setBackend(backend);
      try {
        const read = readTensors(tf.tidy(() => program.build(tensorsOf(program, values))));
        specs = Object.entries(read).map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
        return read;
      } catch (error) {
        throw wrapError(program, error);
      }
    },
    dispose: async () => {},
  };
}

/** The program's inputs as tensors by name; images of uint8 become int32, which is what the library has. */
function tensorsOf(program: Program, values: readonly TensorValue[]): Record<string, tf.Tensor> {
  const tensors: Record<string, tf.Tensor> = {};
  program.inputs.forEach((spec, i) => {
    const value = values[i] as TensorValue;
    const data = value.dtype === 'uint8' ? Int32Array.from(value.data) : value.data;
    tensors[spec.name] = tf.tensor(data as Float32Array, [...spec.shape], spec.dtype === 'float32' ? 'float32' : 'int32');
  });
  return tensors;
}

/** Copies the results out of the backend and disposes of them. */
function readTensors(results: Readonly<Record<string, tf.Tensor>>): TensorValues {
  const read: Record<string, TensorValue> = {};
  for (const [name, tensor] of Object.entries(results)) {
    const dtype = tensor.dtype === 'float32' ? 'float32' : 'int32';
    const data = tensor.dataSync();
    read[name] = { shape: tensor.shape, dtype, data: dtype === 'float32' ? Float32Array.from(data) : Int32Array.from(data) };
  }
  tf.dispose(results);
  return read;
}
