/** @file A classifier that counts how often an attack looks at it. */
import type { AttackLoss, Classifier, Gradients, LogitGradients, Looks } from '../attacks/index.ts';

/** Counts images, not calls. */
export class CountingClassifier implements Classifier {
  readonly #classifier: Classifier;
  /** Images of which the logits were asked for, without gradients. */
  forward = 0;
  /** Images of which gradients were asked for; the gradients of all logits count once per class. */
  gradient = 0;

  constructor(classifier: Classifier) {
    this.#classifier = classifier;
  }

  get classes(): number {
    return this.#classifier.classes;
  }

  get batchSize(): number {
    return this.#classifier.batchSize;
  }

  logits(looks: Pick<Looks, 'count' | 'images'>): Promise<Float32Array> {
    this.forward += looks.count;
    return this.#classifier.logits(looks);
  }

  gradients(loss: AttackLoss, looks: Looks): Promise<Gradients> {
    this.gradient += looks.count;
    return this.#classifier.gradients(loss, looks);
  }

  logitGradients(looks: Pick<Looks, 'count' | 'images'>): Promise<LogitGradients> {
    this.gradient += looks.count * this.classes;
    return this.#classifier.logitGradients(looks);
  }
}
