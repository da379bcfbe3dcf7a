/** @file What an attack may ask of a classifier. */

/** What a gradient attack climbs, per sample; see attack-loss.ts. */
export type AttackLoss = 'cross-entropy' | 'mse' | 'margin' | 'margin-targeted' | 'dlr' | 'dlr-targeted' | 'jitter';

/** Samples for one look; arrays have one row per sample. */
export interface Looks {
  readonly count: number;
  /** [count,32,32,3] float32 in [0,1]. */
  readonly images: Float32Array;
  /** [count] the samples' own classes. */
  readonly labels: Int32Array;
  /** [count] the classes that targeted losses pull to; needed by those only. */
  readonly targets?: Int32Array | undefined;
  /** [count,classes] added to the scaled probabilities; needed by `jitter` only. */
  readonly noise?: Float32Array | undefined;
}

export interface Gradients {
  /** [count,classes]. */
  readonly logits: Float32Array;
  /** [count] */
  readonly loss: Float32Array;
  /** [count,32,32,3]: of each sample's own loss with respect to its image. */
  readonly gradient: Float32Array;
}

/** All logits with their gradients. */
export interface LogitGradients {
  /** [count,classes]. */
  readonly logits: Float32Array;
  /** [count,classes,32,32,3]: of each logit of a sample with respect to its image. */
  readonly jacobian: Float32Array;
}

/**
 * A differentiable classifier of images in [0,1]. The answer for a sample doesn't depend on the samples beside it. Arrays of an answer
 * are the caller's until the next call.
 */
export interface Classifier {
  readonly classes: number;
  /** Samples that are looked at in one go; a multiple of it wastes nothing. */
  readonly batchSize: number;
  /** @returns [count,classes] */
  logits(looks: Pick<Looks, 'count' | 'images'>): Promise<Float32Array>;
  gradients(loss: AttackLoss, looks: Looks): Promise<Gradients>;
  /** Costs about as much as one gradient per class. */
  logitGradients(looks: Pick<Looks, 'count' | 'images'>): Promise<LogitGradients>;
}

/** Rows, columns, channels and values of an image. */
export const HEIGHT = 32;
export const WIDTH = 32;
export const CHANNELS = 3;
export const IMAGE_VALUES = HEIGHT * WIDTH * CHANNELS;
