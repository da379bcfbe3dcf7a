/** @file TRADES (Zhang et al. 2019, arXiv 1901.08573): the loss at the clean image, and how far an attack can move the prediction. */
import { linfBall, projectToBall } from '../attacks/index.ts';
import type { Config } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { forward, named } from '../nn/index.ts';
import { klDivergence, trainingLoss } from '../objectives/index.ts';
import { COMMON_METRICS, commonMetrics } from './benchmark.ts';
import { lengthInStep, noiseInput } from './inner-attack.ts';
import type { Strategy } from './strategy.ts';

/** Standard deviation of the attack's start around the image: at the image itself the divergence has no slope. */
const START_DEVIATION = 0.001;

/**
 * Minimises mean CE(f(x), y) + beta * mean KL(f(x) || f(x')), both terms with gradient through both predictions. x' is the
 * end of `steps` sign steps up that divergence from x + 0.001 N(0,I), each projected onto the ball. `accuracy` is that on
 * clean images; `trades/attackedAccuracy` and `trades/divergence` are those at x'.
 */
export function trades(config: Config, shardSize: number): Strategy {
  const { adversarial, trades: settings } = config.strategy;
  const network = config.model;
  return {
    metricNames: [...COMMON_METRICS, 'trades/attackedAccuracy', 'trades/divergence'],
    extraInputs: [noiseInput(config, shardSize, 'normalNoise')],
    prepareImage: (inputs, params) => {
      const image = named(inputs, 'image');
      const ball = linfBall(image, lengthInStep(config, inputs, adversarial.epsLinf));
      const stepSizeLinf = lengthInStep(config, inputs, adversarial.stepSizeLinf);
      const clean = forward(network, params, image).logits;
      const divergence = (x: tf.Tensor): tf.Tensor => tf.sum(klDivergence(clean, forward(network, params, x).logits));
      let attacked: tf.Tensor = tf.add(image, tf.mul(named(inputs, 'normalNoise'), START_DEVIATION));
      for (let step = 0; step < settings.steps; step++)
        attacked = projectToBall(ball, tf.add(attacked, tf.mul(tf.sign(tf.grad(divergence)(attacked)), stepSizeLinf)));
      return attacked;
    },
    loss: ({ inputs, params, image, target }) => {
      const clean = forward(network, params, named(inputs, 'image')).logits;
      const attacked = forward(network, params, image).logits;
      const lossTerm = tf.mean(trainingLoss(config, clean, target));
      const divergence = tf.mean(klDivergence(clean, attacked));
      const [attackedAccuracy] = commonMetrics(attacked, target, lossTerm) as [tf.Tensor];
      return {
        loss: tf.add(lossTerm, tf.mul(divergence, settings.beta)),
        metrics: [...commonMetrics(clean, target, lossTerm), attackedAccuracy, divergence],
      };
    },
  };
}
