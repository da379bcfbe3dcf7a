/**
 * @file Attacks as searches, one per sample: each says which image it wants to look at and learns what the classifier makes of it. The
 * searches of a batch go step by step together; one that has ended leaves the batch. As a search sees nothing of its neighbours, its
 * result doesn't depend on them.
 */
import type { Samples } from './attack.ts';
import { isTargeted, requireClasses } from './attack-loss.ts';
import { type AttackLoss, type Classifier, IMAGE_VALUES } from './classifier.ts';

/** What the classifier makes of an image. Arrays are valid during the call only. */
export interface Look {
  /** [classes] */
  readonly logits: Float32Array;
}
export interface GradientLook extends Look {
  readonly loss: number;
  /** [32,32,3] */
  readonly gradient: Float32Array;
}

export interface JacobianLook extends Look {
  /** [classes,32,32,3]: the gradient of each logit. */
  readonly jacobian: Float32Array;
}

/** The search of one sample. */
export interface Search<Seen extends Look> {
  readonly label: number;
  /** Class that a targeted loss pulls to. */
  readonly target?: number;
  /** [classes]: what the loss `jitter` adds to the probabilities; default nothing. */
  readonly noise?: Float32Array;
  /** [32,32,3] in [0,1]: where to look next. */
  readonly image: Float32Array;
  /** Nothing more to look at. */
  readonly done: boolean;
  observe(seen: Seen): void;
}

/** Runs searches that look at logits only. */
export function searchByLogits(classifier: Classifier, searches: readonly Search<Look>[]): Promise<void> {
  const { classes } = classifier;
  return inBatches(classifier, searches, async (batch, looks) => {
    const logits = await classifier.logits(looks);
    for (const [row, search] of batch.entries()) search.observe({ logits: logits.subarray(row * classes, (row + 1) * classes) });
  });
}

/**
 * Runs searches that follow the gradient of a loss.
 * @throws DeepDefenseError USAGE where the loss isn't defined for so few classes.
 */
export async function searchByGradient(classifier: Classifier, loss: AttackLoss, searches: readonly Search<GradientLook>[]): Promise<void> {
  const { classes } = classifier;
  requireClasses(loss, classes);
  await inBatches(classifier, searches, async (batch, looks) => {
    const seen = await classifier.gradients(loss, {
      ...looks,
      labels: Int32Array.from(batch, ({ label }) => label),
      targets: isTargeted(loss) ? Int32Array.from(batch, ({ target = 0 }) => target) : undefined,
      noise: loss === 'jitter' ? gatherNoise(batch, classes) : undefined,
    });
    for (const [row, search] of batch.entries())
      search.observe({
        logits: seen.logits.subarray(row * classes, (row + 1) * classes),
        loss: seen.loss[row] as number,
        gradient: seen.gradient.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES),
      });
  });
}

/** Runs searches that need the gradients of all logits. */
export function searchByJacobian(classifier: Classifier, searches: readonly Search<JacobianLook>[]): Promise<void> {
  const { classes } = classifier;
  const size = classes * IMAGE_VALUES;
  return inBatches(classifier, searches, async (batch, looks) => {
    const { logits, jacobian } = await classifier.logitGradients(looks);
    for (const [row, search] of batch.entries())
      search.observe({
        logits: logits.subarray(row * classes, (row + 1) * classes),
        jacobian: jacobian.subarray(row * size, (row + 1) * size),
      });
  });
}

/** Calls back with batches of searches and their images until all are done; between two looks of a search all others had theirs. */
async function inBatches<Seen extends Look>(
  { batchSize }: Classifier,
  searches: readonly Search<Seen>[],
  look: (batch: readonly Search<Seen>[], looks: { readonly count: number; readonly images: Float32Array }) => Promise<void>,
): Promise<void> {
  const images = new Float32Array(batchSize * IMAGE_VALUES);
  for (let active = open(searches); active.length > 0; active = open(active))
    for (let first = 0; first < active.length; first += batchSize) {
      const batch = active.slice(first, first + batchSize);
      for (const [row, { image }] of batch.entries()) images.set(image, row * IMAGE_VALUES);
      await look(batch, { count: batch.length, images });
    }
}

function open<Seen extends Look>(searches: readonly Search<Seen>[]): Search<Seen>[] {
  return searches.filter(({ done }) => !done);
}

function gatherNoise(searches: readonly { readonly noise?: Float32Array }[], classes: number): Float32Array {
  const rows = new Float32Array(searches.length * classes);
  for (const [row, { noise }] of searches.entries()) if (noise !== undefined) rows.set(noise, row * classes);
  return rows;
}

/** True unless the label's logit is strictly the largest; NaN counts as misclassified. */
export function isMisclassified(logits: ArrayLike<number>, label: number): boolean {
  return !(logitMargin(logits, label) > 0);
}

/** The rows whose clean image is classified correctly, with one look at each. */
export async function correctRows(classifier: Classifier, samples: Samples): Promise<number[]> {
  const { classes } = classifier;
  const logits = await classifier.logits(samples);
  const isCorrect = (label: number, row: number) => !isMisclassified(logits.subarray(row * classes, (row + 1) * classes), label);
  return [...samples.labels].flatMap((label, row) => (isCorrect(label, row) ? [row] : []));
}

/** z_y - max_{k != y} z_k. */
export function logitMargin(logits: ArrayLike<number>, label: number): number {
  let best = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < logits.length; k++) if (k !== label) best = Math.max(best, logits[k] as number);
  return (logits[label] as number) - best;
}

/** The class that so many others surpass; among equals the first class. */
export function classOfRank(logits: Float32Array, rank: number): number {
  const order = [...logits.keys()].sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b);
  return order[rank] as number;
}
