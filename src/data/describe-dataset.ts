/** @file What a dataset holds, in figures, and whether it is what it should be. */
import { CIFAR10_CLASS_NAMES } from './cifar10-layout.ts';
import { CLASS_COUNT, type Dataset, IMAGE_BYTES, type ImageSet, PLANE_BYTES } from './dataset.ts';
import { type OpenDatasetOptions, type OpenedDataset, openDatasetWithOrigin } from './open-dataset.ts';
import { SYNTHETIC_CLASS_NAMES } from './synthetic.ts';

/** Figures of one split. */
export interface ImageSetDescription {
  readonly count: number;
  /** Images of each label 0..9. */
  readonly perClass: readonly number[];
  /** Mean of R, G, B in [0,1] pixel units over all pixels; NaN for an empty split. */
  readonly mean: readonly number[];
  /** Population standard deviation of R, G, B in [0,1] pixel units. */
  readonly std: readonly number[];
}

/** Figures of a dataset, for `data info`. */
export interface DatasetDescription {
  readonly name: string;
  readonly contentHash: string;
  readonly classNames: readonly string[];
  readonly train: ImageSetDescription;
  readonly test: ImageSetDescription;
}

/** Counts, channel statistics, name and hash; about 0.3 s for CIFAR-10. */
export function describeDataset(dataset: Dataset): DatasetDescription {
  return {
    name: dataset.name,
    contentHash: dataset.contentHash,
    classNames: dataset.name === 'synthetic' ? SYNTHETIC_CLASS_NAMES : CIFAR10_CLASS_NAMES,
    train: describeSet(dataset.train),
    test: describeSet(dataset.test),
  };
}

function describeSet(set: ImageSet): ImageSetDescription {
  const perClass = Array.from({ length: CLASS_COUNT }, () => 0);
  for (const label of set.labels) perClass[label] = (perClass[label] as number) + 1;
  const mean: number[] = [];
  const std: number[] = [];
  for (let channel = 0; channel < 3; channel++) {
    // Integer sums stay exact: at most 50 000 * 1024 * 255^2, far below 2^53.
    let sum = 0;
    let squares = 0;
    for (let image = 0; image < set.count; image++) {
      const first = image * IMAGE_BYTES + channel * PLANE_BYTES;
      for (let p = first; p < first + PLANE_BYTES; p++) {
        const value = set.pixels[p] as number;
        sum += value;
        squares += value * value;
      }
    }
    const pixels = set.count * PLANE_BYTES;
    mean.push(sum / pixels / 255);
    std.push(Math.sqrt(squares / pixels - (sum / pixels) ** 2) / 255);
  }
  return { count: set.count, perClass, mean, std };
}

/** One finding of {@link verifyDataset}. */
export interface DataCheck {
  readonly name: 'layout' | 'class balance' | 'channel means' | 'official pixels';
  /** `unknown`: not wrong, but not proven either. */
  readonly state: 'passed' | 'failed' | 'unknown';
  readonly detail: string;
}

/** Result of {@link verifyDataset}. */
export interface DatasetVerification {
  readonly opened: OpenedDataset;
  readonly description: DatasetDescription;
  readonly checks: readonly DataCheck[];
  /** No check failed. */
  readonly ok: boolean;
}

/** Training-set means of CIFAR-10 as commonly published; a recompressed copy differs by less than {@link MEAN_TOLERANCE}. */
const CIFAR10_MEAN = [0.4914, 0.4822, 0.4465];
const MEAN_TOLERANCE = 0.005;

/**
 * Opens a dataset as {@link openDatasetWithOrigin} does and checks it, for `data verify`. Damage that makes it unreadable is thrown by
 * the reader; here is what can be wrong beyond that.
 */
export async function verifyDataset(options: OpenDatasetOptions): Promise<DatasetVerification> {
  const opened = await openDatasetWithOrigin(options);
  const description = describeDataset(opened.dataset);
  const checks: DataCheck[] = [
    { name: 'layout', state: 'passed', detail: `${description.train.count} + ${description.test.count} records, every label 0..9` },
    balanceCheck(description),
  ];
  if (options.source === 'cifar10') checks.push(meanCheck(description), officialCheck(opened));
  return { opened, description, checks, ok: checks.every((check) => check.state !== 'failed') };
}

function balanceCheck({ train, test }: DatasetDescription): DataCheck {
  const balanced = [train, test].every(({ count, perClass }) => perClass.every((n) => n === count / CLASS_COUNT));
  return {
    name: 'class balance',
    state: balanced ? 'passed' : 'failed',
    detail: balanced
      ? `${train.count / CLASS_COUNT} + ${test.count / CLASS_COUNT} images of each class`
      : `images per class ${train.perClass.join(', ')} + ${test.perClass.join(', ')}; all should be equal`,
  };
}

function meanCheck({ train }: DatasetDescription): DataCheck {
  const close = train.mean.every((value, channel) => Math.abs(value - (CIFAR10_MEAN[channel] as number)) <= MEAN_TOLERANCE);
  return {
    name: 'channel means',
    state: close ? 'passed' : 'failed',
    detail: `R, G, B ${train.mean.map((value) => value.toFixed(4)).join(', ')}; CIFAR-10 has ${CIFAR10_MEAN.join(', ')}`,
  };
}

function officialCheck({ official }: OpenedDataset): DataCheck {
  return {
    name: 'official pixels',
    state: official ? 'passed' : 'unknown',
    detail: official
      ? 'the content is that of the archive with the published MD5'
      : 'no archive with the published MD5 with this content was seen',
  };
}
