/**
 * @file Fast adaptive boundary attack (FAB; Croce and Hein, ICML 2020, arXiv 1907.02044, algorithm 1): goes to the hyperplane that the nearest
 * boundary is to first order, drawn towards the clean image, and steps back when it is across. The targeted form takes the boundary to one
 * class after the other (AutoAttack). The paper's final search on the line to the clean image is left out, as in AutoAttack.
 */
import { type Attack, type AttackRandom, type Stream, uniformField } from './attack.ts';
import type { BallNorm } from './ball.ts';
import { changeToHyperplane } from './hyperplane.ts';
import { minimumNorm, Nearest, type NearestSearch } from './minimum-norm.ts';
import { dualNormOf, normOf } from './norm-projection.ts';
import {
  classOfRank,
  type GradientLook,
  isMisclassified,
  type JacobianLook,
  type Look,
  type Search,
  searchByGradient,
  searchByJacobian,
} from './search.ts';

export interface FabOptions {
  /** Whose distance is small. */
  readonly norm: BallNorm;
  /** Steps from each start (and to each class); default 100. */
  readonly steps?: number;
  /** Starts: the clean image, then random points; default 1. */
  readonly restarts?: number;
  /** Ends at the first misclassified image within this distance; those farther away don't count. Default: looks for the nearest one. */
  readonly within?: number;
}

/** Overshoot of the hyperplane. */
const BEYOND = 1.05;
/** The largest share of the step that is taken from the clean image. */
const MOST_DRAWN = 0.1;
/** Share of the perturbation that is kept on the way back. */
const KEPT = 0.9;
/** Random starts are within half of the best distance so far, or of this one. */
const START_RADIUS: Readonly<Record<BallNorm, number>> = { linf: 8 / 255, l2: 0.5, l1: 12 };

/** One descent to the boundary. */
interface Run {
  readonly restart: number;
  /** Class whose boundary is meant; else the nearest one. */
  readonly target?: number;
}

/** Writes the normal of a boundary, linearised at the image, and returns its function's value there; undefined where it has no slope. */
type Linearise<Seen> = (seen: Seen, normal: Float32Array) => number | undefined;

class FabSearch<Seen extends Look> implements Search<Seen>, NearestSearch {
  readonly label: number;
  readonly nearest: Nearest;
  image: Float32Array;
  readonly #clean: Float32Array;
  readonly #options: Required<FabOptions>;
  readonly #runs: readonly Run[];
  readonly #linearise: Linearise<Seen>;
  readonly #startOf: (restart: number) => Stream;
  readonly #normal: Float32Array;
  #run = 0;
  #left: number;
  /** The image is the way back from one that was misclassified, and may be so itself. */
  #isBack = false;

  constructor(
    clean: Float32Array,
    label: number,
    options: Required<FabOptions>,
    runs: readonly Run[],
    linearise: Linearise<Seen>,
    startOf: (restart: number) => Stream,
  ) {
    this.label = label;
    this.image = clean.slice();
    this.nearest = new Nearest(clean);
    this.#clean = clean;
    this.#options = options;
    this.#runs = runs;
    this.#linearise = linearise;
    this.#startOf = startOf;
    this.#normal = new Float32Array(clean.length);
    this.#left = options.steps;
  }

  get done(): boolean {
    return this.#run === this.#runs.length;
  }

  get target(): number {
    return this.#runs[this.#run]?.target ?? this.label;
  }

  observe(seen: Seen): void {
    const misclassified = isMisclassified(seen.logits, this.label);
    if (misclassified) {
      const { norm, within } = this.#options;
      const distance = normOf(norm, this.#changeFrom(this.image));
      if (distance <= within) this.nearest.offer(this.image, distance);
      if (Number.isFinite(within) && distance <= within) {
        this.#run = this.#runs.length;
        return;
      }
    }
    if (this.#left === 0) this.#nextRun();
    else if (misclassified && !this.#isBack) {
      this.#isBack = true;
      for (let i = 0; i < this.image.length; i++) {
        const clean = this.#clean[i] as number;
        this.image[i] = clean + KEPT * ((this.image[i] as number) - clean);
      }
    } else {
      this.#isBack = false;
      this.#left -= 1;
      const value = this.#linearise(seen, this.#normal);
      // Where no slope is left there is no way on from this start.
      if (value === undefined || !Number.isFinite(value)) this.#nextRun();
      else this.#step(value);
    }
  }

  #step(value: number): void {
    const { norm } = this.#options;
    const normal = this.#normal;
    const { image } = this;
    const clean = this.#clean;
    let cleanValue = value;
    for (let i = 0; i < normal.length; i++) cleanValue += (normal[i] as number) * ((clean[i] as number) - (image[i] as number));
    const change = changeToHyperplane(norm, image, normal, value);
    const cleanChange = changeToHyperplane(norm, clean, normal, cleanValue);
    const [size, cleanSize] = [normOf(norm, change), normOf(norm, cleanChange)];
    const drawn = size === 0 ? 0 : Math.min(size / (size + cleanSize), MOST_DRAWN);
    for (let i = 0; i < normal.length; i++) {
      const here = (image[i] as number) + BEYOND * (change[i] as number);
      const there = (clean[i] as number) + BEYOND * (cleanChange[i] as number);
      image[i] = Math.min(Math.max((1 - drawn) * here + drawn * there, 0), 1);
    }
  }

  #nextRun(): void {
    this.#run += 1;
    this.#left = this.#options.steps;
    this.#isBack = false;
    const run = this.#runs[this.#run];
    if (run === undefined) return;
    this.image.set(this.#clean);
    if (run.restart > 0) this.#startAtRandom(this.#startOf(this.#run));
  }

  #startAtRandom(stream: Stream): void {
    const { norm } = this.#options;
    const field = norm === 'l2' ? Float32Array.from(this.image, () => stream.normal()) : uniformField(stream);
    const radius = Math.min(this.nearest.distance, START_RADIUS[norm]) / 2;
    const scale = radius / normOf(norm, field);
    for (let i = 0; i < field.length; i++)
      this.image[i] = Math.min(Math.max((this.image[i] as number) + scale * (field[i] as number), 0), 1);
  }

  #changeFrom(image: Float32Array): Float32Array {
    const change = new Float32Array(image.length);
    for (let i = 0; i < image.length; i++) change[i] = (image[i] as number) - (this.#clean[i] as number);
    return change;
  }
}

/** Of all boundaries, the one that is nearest to first order: |z_k - z_y| over the dual norm of its gradient. */
function nearestBoundary(norm: BallNorm, label: number): Linearise<JacobianLook> {
  return ({ logits, jacobian }, normal) => {
    const size = normal.length;
    const own = jacobian.subarray(label * size, (label + 1) * size);
    const slope = new Float32Array(size);
    let [nearest, nearestGap] = [Number.POSITIVE_INFINITY, 0];
    for (let rival = 0; rival < logits.length; rival++) {
      if (rival === label) continue;
      for (let i = 0; i < size; i++) slope[i] = (jacobian[rival * size + i] as number) - (own[i] as number);
      const gap = (logits[rival] as number) - (logits[label] as number);
      const distance = Math.abs(gap) / dualNormOf(norm, slope);
      if (!(distance < nearest)) continue;
      [nearest, nearestGap] = [distance, gap];
      normal.set(slope);
    }
    return nearest === Number.POSITIVE_INFINITY ? undefined : nearestGap;
  };
}

/** The boundary to the search's target. */
const targetsBoundary: Linearise<GradientLook> = ({ loss, gradient }, normal) => {
  normal.set(gradient);
  return gradient.some((slope) => slope !== 0) ? loss : undefined;
};

function resolved({ norm, steps = 100, restarts = 1, within = Number.POSITIVE_INFINITY }: FabOptions): Required<FabOptions> {
  return { norm, steps, restarts, within };
}

const streamsOf = (random: AttackRandom, row: number) => (purpose: number) => random.stream(row, purpose);

/** Untargeted FAB. Returns the nearest misclassified image, else the clean one. */
export function fab(options: FabOptions): Attack {
  const settings = resolved(options);
  const runs = Array.from({ length: settings.restarts }, (_, restart) => ({ restart }));
  return minimumNorm<FabSearch<JacobianLook>>(
    (clean, label, { row, random }) =>
      new FabSearch(clean, label, settings, runs, nearestBoundary(settings.norm, label), streamsOf(random, row)),
    searchByJacobian,
  );
}

/**
 * FAB to the classes with the second, third, ... largest logit of the clean image. Any misclassification counts, not only as the target.
 * @param options.targets classes to try; default all others, at most 9
 */
export function fabTargeted(options: FabOptions & { readonly targets?: number }): Attack {
  const settings = resolved(options);
  return minimumNorm(
    (clean, label, { row, logits, random }) => {
      const targets = Math.min(options.targets ?? 9, logits.length - 1);
      const runs = Array.from({ length: targets * settings.restarts }, (_, index) => ({
        restart: Math.floor(index / targets),
        target: classOfRank(logits, 1 + (index % targets)),
      }));
      return new FabSearch(clean, label, settings, runs, targetsBoundary, streamsOf(random, row));
    },
    (classifier, searches) => searchByGradient(classifier, 'margin-targeted', searches),
  );
}
