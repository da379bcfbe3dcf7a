/**
 * @file The eager engine: runs programs op by op on a TensorFlow.js backend. With the library's own `cpu` backend it is the
 * slow, independent oracle of the captured engine.
 */
import { PACKAGE_VERSION, type TensorSpec, type TensorValue } from '../core/index.ts';
import { checkInputs } from './check-inputs.ts';
import { tf } from './tensorflow.ts';
import type { CompiledProgram, Engine, Program, TensorValues } from './types.ts';

export async function createEagerEngine(): Promise<Engine> {
  await tf.setBackend('cpu');
  await tf.ready();
  return {
    name: 'eager',
    fingerprint: `eager tfjs-${tf.version.tfjs} cpu deepdefense-${PACKAGE_VERSION} node-${process.versions.node.split('.')[0]} ${process.arch}`,
    compile: async (program) => compileEager(program),
    dispose: async () => {},
  };
}

function compileEager(program: Program): CompiledProgram {
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
      await tf.setBackend('cpu');
      const results = tf.tidy(() => {
        const tensors: Record<string, tf.Tensor> = {};
        program.inputs.forEach((spec, i) => {
          const value = values[i] as TensorValue;
          const data = value.dtype === 'uint8' ? Int32Array.from(value.data) : value.data;
          tensors[spec.name] = tf.tensor(data as Float32Array, [...spec.shape], spec.dtype === 'float32' ? 'float32' : 'int32');
        });
        return program.build(tensors);
      });
      const read: Record<string, TensorValue> = {};
      for (const [name, tensor] of Object.entries(results)) {
        const dtype = tensor.dtype === 'float32' ? 'float32' : 'int32';
        const data = tensor.dataSync();
        read[name] = { shape: tensor.shape, dtype, data: dtype === 'float32' ? Float32Array.from(data) : Int32Array.from(data) };
        tensor.dispose();
      }
      specs = Object.entries(read).map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
      return read as TensorValues;
    },
    dispose: async () => {},
  };
}
