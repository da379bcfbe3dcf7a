/**
 * @file The eager engine: runs programs op by op on TensorFlow.js' own backend `cpu`. The slow, independent oracle of the
 * captured engine.
 */
import { PACKAGE_VERSION } from '../core/index.ts';
import { compileEager } from './eager-program.ts';
import { tf } from './tensorflow.ts';
import type { Engine } from './types.ts';

export async function createEagerEngine(): Promise<Engine> {
  await tf.setBackend('cpu');
  await tf.ready();
  return {
    name: 'eager',
    fingerprint: `eager tfjs-${tf.version.tfjs} cpu deepdefense-${PACKAGE_VERSION} node-${process.versions.node.split('.')[0]} ${process.arch}`,
    compile: async (program) => compileEager(program, { backend: 'cpu' }),
    dispose: async () => {},
  };
}
