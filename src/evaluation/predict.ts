/** @file Logits, decisions and losses of a batch. */
import { type Config, MODELS } from '../config/index.ts';
import type { Program } from '../engine/index.ts';
import { forward, named, parameterCount, splitParameters } from '../nn/index.ts';
import { correctlyClassified, crossEntropy } from '../objectives/index.ts';

/**
 * Inputs: `parameters` [P], `image` [b,32,32,3] in [0,1], `target` [b,10] one-hot; float32.
 * Outputs: `logits` [b,10] float32, `correct` [b] int32 (1 = the label's logit is strictly the largest), `loss` [b] float32, the
 * cross-entropy whatever the training loss, so that strategies can be compared.
 */
export function createPredict(config: Config, batch: number): Program {
  const network = config.model;
  return {
    name: `predict/${network.name}/${batch}`,
    inputs: batchInputs(config, batch),
    stableInputs: ['parameters'],
    build: (inputs) => {
      const target = named(inputs, 'target');
      const params = splitParameters(network, named(inputs, 'parameters'));
      const { logits } = forward(network, params, named(inputs, 'image'));
      return { logits, correct: correctlyClassified(logits, target), loss: crossEntropy(logits, target) };
    },
  };
}

/** The inputs that programs on a labelled batch have in common. */
export function batchInputs(config: Config, batch: number): Program['inputs'] {
  const { inputShape, classes } = MODELS[config.model.name];
  return [
    { name: 'parameters', shape: [parameterCount(config.model)], dtype: 'float32' },
    { name: 'image', shape: [batch, ...inputShape], dtype: 'float32' },
    { name: 'target', shape: [batch, classes], dtype: 'float32' },
  ];
}
