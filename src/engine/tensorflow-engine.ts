/** @file TensorFlow.js on libtensorflow, through the optional package @tensorflow/tfjs-node or tfjs-node-gpu. */
import { DeepDefenseError } from '../core/index.ts';
import type { Engine } from './types.ts';

/** @throws DeepDefenseError ENGINE_UNAVAILABLE when neither package can be loaded. */
export async function createTensorflowEngine(_options: { readonly threads: number; readonly device: number }): Promise<Engine> {
  throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
    what: 'the engine "tensorflow" is not there',
    expected: '@tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node',
    todo: 'install one of them',
  });
}
