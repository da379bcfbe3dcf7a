/** @file The PGD attack inside a training step, which several strategies share. */
import { linfBall, projectToBall, signStep } from '../attacks/index.ts';
import { type Config, MODELS } from '../config/index.ts';
import type { TensorSpec } from '../core/index.ts';
import { tf } from '../engine/index.ts';
import { type NamedTensors, named } from '../nn/index.ts';
import type { Strategy } from './strategy.ts';

/** What an attack is made of, see `strategy.adversarial`. */
export type InnerAttack = Omit<Config['strategy']['adversarial'], 'warmup'>;

/** An input of the shape of a shard's images. */
export function noiseInput(config: Config, shardSize: number, name: 'noise' | 'normalNoise' = 'noise'): TensorSpec {
  return { name, shape: [shardSize, ...MODELS[config.model.name].inputShape], dtype: 'float32' };
}

/** A length of the attack in a step: all of it, or with `adversarial.warmup` the share that the step's warm-up factor says. */
export function lengthInStep(config: Config, inputs: NamedTensors, length: number): number | tf.Tensor {
  return config.strategy.adversarial.warmup === 0 ? length : tf.mul(named(inputs, 'gfaScale'), length);
}

/**
 * The attack is unrolled inside the step: start at the image or, with `randomStart`, at image + eps * noise clamped to [0,1];
 * `steps` projected sign steps on the training loss to the one-hot target. The result counts as a constant.
 */
export function pgdImage(config: Config, shardSize: number, attack: InnerAttack): Pick<Strategy, 'extraInputs' | 'prepareImage'> {
  const network = config.model;
  const { steps, randomStart } = attack;
  return {
    extraInputs: randomStart ? [noiseInput(config, shardSize)] : [],
    prepareImage: (inputs, params) => {
      const image = named(inputs, 'image');
      const target = named(inputs, 'target');
      const epsLinf = lengthInStep(config, inputs, attack.epsLinf);
      const stepSizeLinf = lengthInStep(config, inputs, attack.stepSizeLinf);
      const ball = linfBall(image, epsLinf);
      let attacked = image;
      if (randomStart) attacked = projectToBall(ball, tf.add(image, tf.mul(named(inputs, 'noise'), epsLinf)));
      for (let step = 0; step < steps; step++)
        attacked = signStep({ network, params, target, loss: config.objective.loss, ball, stepSizeLinf }, attacked);
      return attacked;
    },
  };
}
