/** @file The frame of a training step, the same for all strategies: split parameters, differentiate, flatten, report. */
import { type Config, MODELS, parameterSpecs } from '../config/index.ts';
import { type Program, tf } from '../engine/index.ts';
import { flattenGradients, type NamedTensors, named, parameterCount, splitParameters } from '../nn/index.ts';
import type { Strategy } from './strategy.ts';

/** The compiled work of one shard of one step. */
export interface TrainProgram {
  /**
   * Inputs: `parameters` [P], `image` [b,32,32,3] in [0,1], `target` [b,10] one-hot, `gfaScale` [] in [0,1] and,
   * where the strategy asks for them, `noise` [b,32,32,3] uniform in [-1,1) and `normalNoise` [b,32,32,3] standard normal; all float32.
   * Outputs: `gradients` [P] of the mean loss, `metrics` [M] (means over the shard); float32.
   */
  readonly program: Program;
  /** Names of `metrics` in order. */
  readonly metricNames: readonly string[];
}

/** Builds the program of a strategy for shards of `shardSize` samples. */
export function trainProgram(config: Config, shardSize: number, strategy: Strategy): TrainProgram {
  const model = config.model.name;
  const { inputShape, classes } = MODELS[model];
  const names = parameterSpecs(model).map((spec) => spec.name);
  const program: Program = {
    name: `train/${config.strategy.name}/${model}`,
    inputs: [
      { name: 'parameters', shape: [parameterCount(model)], dtype: 'float32' },
      { name: 'image', shape: [shardSize, ...inputShape], dtype: 'float32' },
      { name: 'target', shape: [shardSize, classes], dtype: 'float32' },
      { name: 'gfaScale', shape: [], dtype: 'float32' },
      ...strategy.extraInputs,
    ],
    stableInputs: ['parameters'],
    build: (inputs) => {
      const given = splitParameters(model, named(inputs, 'parameters'));
      // Outside the differentiated function, so that an attack's steps are no part of the gradient.
      const image = strategy.prepareImage(inputs, given);
      const step = { inputs, image, target: named(inputs, 'target'), gfaScale: named(inputs, 'gfaScale') };
      const params = strategy.differentiateAt?.({ ...step, params: given }) ?? given;
      const kept: tf.Tensor[] = [];
      let metrics: readonly tf.Tensor[] = [];
      const { grads, value } = tf.valueAndGrads((...weights: tf.Tensor[]) => {
        const traced: NamedTensors = Object.fromEntries(names.map((name, i) => [name, weights[i] as tf.Tensor]));
        const result = strategy.loss({ ...step, params: traced });
        kept.push(...(result.kept ?? []), ...result.metrics.map((metric) => tf.keep(metric)));
        metrics = result.metrics;
        return result.loss as tf.Scalar;
      })(names.map((name) => named(params, name)));
      const outputs = {
        gradients: flattenGradients(grads),
        metrics: tf.concat([value as tf.Tensor, ...metrics].map((metric) => tf.reshape(metric, [1]))),
      };
      for (const tensor of new Set(kept)) tensor.dispose();
      return outputs;
    },
  };
  return { program, metricNames: ['loss', ...strategy.metricNames] };
}
