/** @file The compiled step that FGSM and PGD evaluations share. */
import type { Config } from '../config/index.ts';
import { MODELS } from '../config/index.ts';
import type { Program, tf } from '../engine/index.ts';
import { named, parameterCount, splitParameters } from '../nn/index.ts';
import { linfBall } from './linf-ball.ts';
import { signStep } from './sign-step.ts';

/**
 * One projected sign step on a batch.
 *
 * Inputs: `parameters` [P], `image0` [b,32,32,3] (the clean image), `image` [b,32,32,3] (the iterate), `target` [b,10] one-hot,
 * `epsLinf` [] and `stepSizeLinf` [] in [0,1] pixel units; all float32. Output: `image` [b,32,32,3] float32, the next iterate.
 */
export function createAttackStep(config: Config, batch: number): Program {
  const network = config.model;
  const { inputShape, classes } = MODELS[network.name];
  const imageShape = [batch, ...inputShape];
  return {
    name: `attack-step/${network.name}/${batch}`,
    inputs: [
      { name: 'parameters', shape: [parameterCount(network)], dtype: 'float32' },
      { name: 'image0', shape: imageShape, dtype: 'float32' },
      { name: 'image', shape: imageShape, dtype: 'float32' },
      { name: 'target', shape: [batch, classes], dtype: 'float32' },
      { name: 'epsLinf', shape: [], dtype: 'float32' },
      { name: 'stepSizeLinf', shape: [], dtype: 'float32' },
    ],
    stableInputs: ['parameters'],
    build: (inputs: Readonly<Record<string, tf.Tensor>>) => {
      const next = signStep(
        {
          network,
          params: splitParameters(network, named(inputs, 'parameters')),
          target: named(inputs, 'target'),
          loss: config.objective.loss,
          ball: linfBall(named(inputs, 'image0'), named(inputs, 'epsLinf')),
          stepSizeLinf: named(inputs, 'stepSizeLinf'),
        },
        named(inputs, 'image'),
      );
      return { image: next };
    },
  };
}
