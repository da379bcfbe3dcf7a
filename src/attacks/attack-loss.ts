/** @file The losses that attacks climb, one scalar per sample, and the program that differentiates them. */
import { type Config, MODELS } from '../config/index.ts';
import { DeepDefenseError } from '../core/index.ts';
import { type Program, tf } from '../engine/index.ts';
import { forward, named, parameterCount, splitParameters } from '../nn/index.ts';
import { bestOtherLogit, crossEntropy, labelLogit, margin, squaredError } from '../objectives/index.ts';
import type { AttackLoss } from './classifier.ts';

/** Keeps quotients finite where all logits are equal (Croce and Hein 2020). */
const TINY = 1e-12;
/** Takes logits out of a maximum; beyond any logit of a network that still works. */
const EXCLUDED = 1e30;

/**
 * The k largest different logits, in descending order: equal logits count once.
 * @param logits [b,classes]
 * @returns k tensors [b,1]; those that don't exist are near -1e30
 */
function largest(logits: tf.Tensor, k: number): tf.Tensor[] {
  const found = [tf.max(logits, -1, true)];
  while (found.length < k) {
    const taken = tf.cast(tf.greaterEqual(logits, found.at(-1) as tf.Tensor), 'float32');
    found.push(tf.max(tf.sub(logits, tf.mul(taken, EXCLUDED)), -1, true));
  }
  return found;
}

/** Logits are brought to this size before `jitter` takes their softmax. */
const JITTER_SCALE = 10;

const flat = (column: tf.Tensor): tf.Tensor => tf.reshape(column, [-1]);

/**
 * One scalar per sample; all rise as the attack gets nearer. `cross-entropy`, `mse`, and with z_(k) the k-th largest logit:
 * - `margin`: max_{k != y} z_k - z_y
 * - `margin-targeted`: z_t - z_y
 * - `dlr`: -(z_y - max_{k != y} z_k) / (z_(1) - z_(3) + 1e-12), at least 3 classes (Croce and Hein 2020, equation 6)
 * - `dlr-targeted`: -(z_y - z_t) / (z_(1) - (z_(3) + z_(4)) / 2 + 1e-12), at least 4 classes (equation 7)
 * - `jitter`: mean over the classes of (softmax(10 z / max |z_k|) + noise - label)^2, blind to the scale of the logits (Schwinn et al. 2021)
 * @param logits [b,classes] float32
 * @param label [b,classes] float32 one-hot
 * @param extra [b,classes] float32: the one-hot target of targeted losses, the noise of `jitter`
 * @returns [b] float32
 */
export function attackLoss(name: AttackLoss, logits: tf.Tensor, label: tf.Tensor, extra: tf.Tensor): tf.Tensor {
  switch (name) {
    case 'cross-entropy':
      return crossEntropy(logits, label);
    case 'mse':
      return squaredError(logits, label);
    case 'margin':
      return margin(logits, label);
    case 'margin-targeted':
      return tf.sub(labelLogit(logits, extra), labelLogit(logits, label));
    case 'dlr': {
      const [first, , third] = largest(logits, 3) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const distance = tf.sub(bestOtherLogit(logits, label), labelLogit(logits, label));
      return tf.div(distance, tf.add(flat(tf.sub(first, third)), TINY));
    }
    case 'dlr-targeted': {
      const [first, , third, fourth] = largest(logits, 4) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const distance = tf.sub(labelLogit(logits, extra), labelLogit(logits, label));
      const scale = tf.sub(first, tf.mul(tf.add(third, fourth), 0.5));
      return tf.div(distance, tf.add(flat(scale), TINY));
    }
    case 'jitter': {
      const size = tf.maximum(tf.max(tf.abs(logits), -1, true), TINY);
      const scaled = tf.softmax(tf.mul(tf.div(logits, size), JITTER_SCALE));
      return tf.mean(tf.square(tf.sub(tf.add(scaled, extra), label)), -1);
    }
    default:
      throw new Error(`unknown loss ${name satisfies never}`);
  }
}

/** True for losses that pull to a target class. */
export function isTargeted(loss: AttackLoss): boolean {
  return loss === 'dlr-targeted' || loss === 'margin-targeted';
}

/** The fewest classes that a loss is defined for: the ratios divide by a difference to the third and the fourth largest logit. */
const LEAST_CLASSES: Readonly<Partial<Record<AttackLoss, number>>> = { dlr: 3, 'dlr-targeted': 4 };

/** @throws DeepDefenseError USAGE where the loss isn't defined for so few classes. */
export function requireClasses(loss: AttackLoss, classes: number): void {
  const least = LEAST_CLASSES[loss] ?? 2;
  if (classes >= least) return;
  throw new DeepDefenseError('USAGE', {
    what: `the loss ${loss} is not defined for this classifier`,
    expected: `at least ${least} classes`,
    got: `${classes}`,
    todo: 'attack with the loss margin instead, for example apgd:loss=margin',
  });
}

/** True where a program of this loss has the input `extra`. */
export function needsExtra(loss: AttackLoss): boolean {
  return isTargeted(loss) || loss === 'jitter';
}

/**
 * Inputs: `parameters` [P], `image` [b,32,32,3] in [0,1], `label` [b,classes] one-hot and, for the losses that need it, `extra` [b,classes]; float32.
 * Outputs, float32: `logits` [b,classes], `loss` [b], `gradient` [b,32,32,3] of each sample's loss with respect to its image.
 */
export function createAttackGradient(config: Config, batch: number, loss: AttackLoss): Program {
  const network = config.model;
  const { classes, inputShape } = MODELS[network.name];
  return {
    name: `attack-gradient/${loss}/${network.name}/${batch}`,
    inputs: [
      { name: 'parameters', shape: [parameterCount(network)], dtype: 'float32' },
      { name: 'image', shape: [batch, ...inputShape], dtype: 'float32' },
      { name: 'label', shape: [batch, classes], dtype: 'float32' },
      ...(needsExtra(loss) ? [{ name: 'extra', shape: [batch, classes], dtype: 'float32' } as const] : []),
    ],
    stableInputs: ['parameters'],
    build: (inputs) => {
      const params = splitParameters(network, named(inputs, 'parameters'));
      const label = named(inputs, 'label');
      const extra = inputs.extra ?? label;
      const kept: tf.Tensor[] = [];
      // The sum's gradient holds each sample's own, as no sample's loss depends on another's image.
      const gradient = tf.grad((image: tf.Tensor) => {
        const { logits } = forward(network, params, image);
        const losses = attackLoss(loss, logits, label, extra);
        kept.push(tf.keep(logits), tf.keep(losses));
        return tf.sum(losses);
      })(named(inputs, 'image'));
      const [logits, losses] = kept as [tf.Tensor, tf.Tensor];
      const outputs = { logits: tf.mul(logits, 1), loss: tf.mul(losses, 1), gradient };
      for (const tensor of kept) tensor.dispose();
      return outputs;
    },
  };
}

/**
 * Inputs: `parameters` [P], `image` [b,32,32,3] in [0,1]; float32.
 * Outputs, float32: `logits` [b,classes], `jacobian` [b,classes,32,32,3] of each logit of a sample with respect to its image.
 */
export function createLogitJacobian(config: Config, batch: number): Program {
  const network = config.model;
  const { classes, inputShape } = MODELS[network.name];
  return {
    name: `logit-jacobian/${network.name}/${batch}`,
    inputs: [
      { name: 'parameters', shape: [parameterCount(network)], dtype: 'float32' },
      { name: 'image', shape: [batch, ...inputShape], dtype: 'float32' },
    ],
    stableInputs: ['parameters'],
    build: (inputs) => {
      const params = splitParameters(network, named(inputs, 'parameters'));
      let kept: tf.Tensor | undefined;
      const rows = Array.from({ length: classes }, (_, k) =>
        // The forward passes are the same; the runtime computes them once.
        tf.grad((image: tf.Tensor) => {
          const { logits } = forward(network, params, image);
          kept ??= tf.keep(logits);
          return tf.sum(tf.slice(logits, [0, k], [batch, 1]));
        })(named(inputs, 'image')),
      );
      const logits = kept as unknown as tf.Tensor;
      const outputs = { logits: tf.mul(logits, 1), jacobian: tf.stack(rows, 1) };
      logits.dispose();
      return outputs;
    },
  };
}
