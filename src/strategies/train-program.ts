/** @file The frame of a training step, the same for all strategies: split parameters, differentiate, flatten, report. */
import { type Config, isRunningStatistic, MODELS, parameterSpecs } from '../config/index.ts';
import { type Program, tf } from '../engine/index.ts';
import { flattenGradients, forward, type NamedTensors, named, parameterCount, splitParameters, trainedParameters } from '../nn/index.ts';
import type { Strategy } from './strategy.ts';

/** The compiled work of one shard of one step. */
export interface TrainProgram {
  /**
   * Inputs: `parameters` [P], `image` [b,32,32,3] in [0,1], `target` [b,10] one-hot, `gfaScale` [] in [0,1] and,
   * where the strategy asks for them, `noise` [b,32,32,3] uniform in [-1,1) and `normalNoise` [b,32,32,3] standard normal; all float32.
   * Outputs: `gradients` [P] of the mean loss, and in the place of a running statistic of a batch normalisation its distance from
   * that of the image that is trained on (running - new; docs/adr/0009); `metrics` [M] (means over the shard); float32.
   */
  readonly program: Program;
  /** Names of `metrics` in order. */
  readonly metricNames: readonly string[];
}

/** Builds the program of a strategy for shards of `shardSize` samples. */
export function trainProgram(config: Config, shardSize: number, strategy: Strategy): TrainProgram {
  const network = config.model;
  const { inputShape, classes } = MODELS[network.name];
  const names = parameterSpecs(network).map((spec) => spec.name);
  const trainedNames = names.filter((name) => !isRunningStatistic(name));
  const program: Program = {
    name: `train/${config.strategy.name}/${network.name}`,
    inputs: [
      { name: 'parameters', shape: [parameterCount(network)], dtype: 'float32' },
      { name: 'image', shape: [shardSize, ...inputShape], dtype: 'float32' },
      { name: 'target', shape: [shardSize, classes], dtype: 'float32' },
      { name: 'gfaScale', shape: [], dtype: 'float32' },
      ...strategy.extraInputs,
    ],
    stableInputs: ['parameters'],
    build: (inputs) => {
      const given = splitParameters(network, named(inputs, 'parameters'));
      const trained = trainedParameters(given);
      // Outside the differentiated function, so that an attack's steps are no part of the gradient.
      const image = strategy.prepareImage(inputs, given);
      const step = { inputs, image, target: named(inputs, 'target'), gfaScale: named(inputs, 'gfaScale') };
      const params = strategy.differentiateAt?.({ ...step, params: trained }) ?? trained;
      const kept: tf.Tensor[] = [];
      let metrics: readonly tf.Tensor[] = [];
      const { grads, value } = tf.valueAndGrads((...weights: tf.Tensor[]) => {
        const traced: NamedTensors = Object.fromEntries(trainedNames.map((name, i) => [name, weights[i] as tf.Tensor]));
        const result = strategy.loss({ ...step, params: traced });
        kept.push(...(result.kept ?? []), ...result.metrics.map((metric) => tf.keep(metric)));
        metrics = result.metrics;
        return result.loss as tf.Scalar;
      })(trainedNames.map((name) => named(params, name)));
      const byName = new Map(trainedNames.map((name, i) => [name, grads[i] as tf.Tensor]));
      if (trainedNames.length < names.length) {
        const { statistics } = forward(network, trained, image);
        for (const [name, statistic] of Object.entries(statistics)) byName.set(name, tf.sub(named(given, name), statistic));
      }
      const outputs = {
        gradients: flattenGradients(names.map((name) => byName.get(name) as tf.Tensor)),
        metrics: tf.concat([value as tf.Tensor, ...metrics].map((metric) => tf.reshape(metric, [1]))),
      };
      for (const tensor of new Set(kept)) tensor.dispose();
      return outputs;
    },
  };
  return { program, metricNames: ['loss', ...strategy.metricNames] };
}
