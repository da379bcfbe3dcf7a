/**
 * @file Auto-PGD (Croce and Hein, ICML 2020, arXiv 2003.01690, algorithm 1) and its targeted form: PGD with momentum that halves its step
 * and returns to the best point when it makes no progress, so that it has no step size to tune.
 */
import { type Attack, imageOf, joinImages, type Samples, type Stream, uniformField } from './attack.ts';
import { Ball } from './ball.ts';
import type { AttackLoss, Classifier } from './classifier.ts';
import { classOfRank, type GradientLook, isMisclassified, type Search, searchByGradient } from './search.ts';

export interface ApgdOptions {
  /** The L1 form is another algorithm (Croce and Hein 2021). */
  readonly norm: 'linf' | 'l2';
  /** Radius in [0,1] pixel units. */
  readonly eps: number;
  /** Default 100, as in AutoAttack. */
  readonly steps?: number;
  /** Random starts, each for those alone that withstood the ones before; default 1. */
  readonly restarts?: number;
  /** Share of steps with progress below which a step is halved; default 0.75. */
  readonly rho?: number;
  /** Looks on after success and returns the last misclassified image instead of the first, as the reference implementation does. Default false. */
  readonly keepGoing?: boolean;
  /** The field that a start is made from; default uniform. */
  readonly startField?: (stream: Stream) => ArrayLike<number>;
}

/** Momentum: the share of the new step. */
const NEW_SHARE = 0.75;

/** The search of one sample from one start. */
class ApgdSearch implements Search<GradientLook> {
  readonly label: number;
  readonly target?: number;
  image: Float32Array;
  /** Misclassified image, once there is one. */
  found: Float32Array | undefined;
  readonly #ball: Ball;
  readonly #steps: number;
  readonly #rho: number;
  readonly #keepGoing: boolean;
  #step: number;
  /** Looks so far, that at the start included. */
  #looks = 0;
  #previous: Float32Array;
  #best: Float32Array;
  readonly #bestGradient: Float32Array;
  #bestLoss = Number.NEGATIVE_INFINITY;
  #bestAtCheckpoint = Number.NEGATIVE_INFINITY;
  #halvedAtCheckpoint = true;
  /** Losses of the steps; the start isn't one. */
  readonly #losses: Float64Array;
  #period: number;
  #sinceCheckpoint = 0;
  #failed = false;
  /** Arrays of images that nobody needs any more. */
  readonly #free: Float32Array[] = [];

  constructor(ball: Ball, start: Float32Array, label: number, target: number | undefined, options: ApgdOptions) {
    const { steps = 100, rho = 0.75, keepGoing = false } = options;
    this.label = label;
    if (target !== undefined) this.target = target;
    this.image = start;
    this.#ball = ball;
    this.#steps = steps;
    this.#rho = rho;
    this.#keepGoing = keepGoing;
    this.#step = 2 * ball.eps;
    this.#previous = start;
    this.#best = start;
    this.#bestGradient = new Float32Array(start.length);
    this.#losses = new Float64Array(steps);
    this.#period = Math.max(Math.trunc(0.22 * steps), 1);
  }

  get done(): boolean {
    return this.#looks > this.#steps || this.#failed || (this.found !== undefined && !this.#keepGoing);
  }

  observe({ logits, loss, gradient }: GradientLook): void {
    // Where nothing is finite there is no way on.
    if (!Number.isFinite(loss)) this.#failed = true;
    const atStart = this.#looks === 0;
    if (isMisclassified(logits, this.label)) this.found = this.image;
    if (atStart || loss > this.#bestLoss) {
      this.#best = this.image;
      this.#bestGradient.set(gradient);
      this.#bestLoss = loss;
    }
    let from = this.image;
    let slope = gradient;
    if (atStart) this.#bestAtCheckpoint = loss;
    else {
      this.#losses[this.#looks - 1] = loss;
      this.#sinceCheckpoint += 1;
      if (this.#sinceCheckpoint === this.#period && this.#halvesAtCheckpoint()) {
        this.#step /= 2;
        from = this.#best;
        slope = this.#bestGradient;
      }
    }
    this.#looks += 1;
    if (!this.done) this.#advance(from, slope, atStart ? 1 : NEW_SHARE);
  }

  /** The two conditions of section 3.2; also sets the next checkpoint. */
  #halvesAtCheckpoint(): boolean {
    const last = this.#looks - 1;
    let rises = 0;
    for (let c = 0; c < this.#period; c++) {
      // At the first checkpoint the step before the first one is the slot of the last, still 0: so does the reference implementation.
      const before = (last - c - 1 + this.#steps) % this.#steps;
      if ((this.#losses[last - c] as number) > (this.#losses[before] as number)) rises += 1;
    }
    const stalls = rises <= this.#period * this.#rho;
    const unchanged = !this.#halvedAtCheckpoint && this.#bestAtCheckpoint >= this.#bestLoss;
    this.#halvedAtCheckpoint = stalls || unchanged;
    this.#bestAtCheckpoint = this.#bestLoss;
    this.#period = Math.max(this.#period - Math.max(Math.trunc(0.03 * this.#steps), 1), Math.max(Math.trunc(0.06 * this.#steps), 1));
    this.#sinceCheckpoint = 0;
    return this.#halvedAtCheckpoint;
  }

  #advance(from: Float32Array, gradient: Float32Array, share: number): void {
    const ball = this.#ball;
    const next = this.#free.pop() ?? new Float32Array(from.length);
    if (ball.norm === 'linf') this.#advanceLinf(next, from, gradient, share);
    else {
      ball.step(next, from, gradient, this.#step);
      for (let i = 0; i < next.length; i++)
        next[i] = withMomentum(next[i] as number, from[i] as number, this.#previous[i] as number, share);
      ball.project(next);
    }
    const before = [this.#previous, this.image];
    this.#previous = from;
    this.image = next;
    for (const image of new Set(before)) if (!this.#holds(image)) this.#free.push(image);
  }

  /** The same in one pass over the pixels: most of the time outside of the network is spent here. */
  #advanceLinf(next: Float32Array, from: Float32Array, gradient: Float32Array, share: number): void {
    const { low, high } = this.#ball;
    const previous = this.#previous;
    const step = this.#step;
    for (let i = 0; i < next.length; i++) {
      const here = from[i] as number;
      const slope = gradient[i] as number;
      const [least, most] = [low[i] as number, high[i] as number];
      const move = slope > 0 ? step : slope < 0 ? -step : 0;
      const moved = Math.min(Math.max(Math.fround(here + move), least), most);
      next[i] = Math.min(Math.max(Math.fround(withMomentum(moved, here, previous[i] as number, share)), least), most);
    }
  }

  #holds(image: Float32Array): boolean {
    return image === this.image || image === this.#previous || image === this.#best || image === this.found;
  }
}

/** A pixel on its way on: `share` of the new step, the rest of the step before. */
function withMomentum(moved: number, here: number, previous: number, share: number): number {
  return here + share * (moved - here) + (1 - share) * (here - previous);
}

/**
 * Untargeted Auto-PGD. Samples that are misclassified to begin with are returned as they are, as are those that withstand.
 * @param options.loss default `cross-entropy`
 */
export function apgd(options: ApgdOptions & { readonly loss?: AttackLoss }): Attack {
  return (classifier, samples, random) => {
    const { restarts = 1, loss = 'cross-entropy' } = options;
    const runs = Array.from({ length: restarts }, (_, restart) => ({ restart, rank: undefined }));
    return attackInRuns(classifier, samples, (row, { restart }) => random.stream(row, restart), loss, runs, options);
  };
}

/**
 * Targeted Auto-PGD on the targeted DLR loss: one run after the other for the classes with the second, third, ... largest logit of the clean
 * image. Any misclassification counts, not only as the target.
 * @param options.targets classes to try; default all others, at most 9
 */
export function apgdTargeted(options: ApgdOptions & { readonly targets?: number }): Attack {
  return (classifier, samples, random) => {
    const { restarts = 1, targets = Math.min(9, classifier.classes - 1) } = options;
    const runs = Array.from({ length: targets * restarts }, (_, index) => ({
      restart: Math.floor(index / targets),
      rank: 1 + (index % targets),
    }));
    const stream = (row: number, { restart, rank }: Run) => random.stream(row, restart * targets + (rank ?? 0));
    return attackInRuns(classifier, samples, stream, 'dlr-targeted', runs, options);
  };
}

interface Run {
  readonly restart: number;
  /** Target: so many classes have a larger logit on the clean image. */
  readonly rank: number | undefined;
}

/** One run after the other, each on those that are still classified correctly. */
async function attackInRuns(
  classifier: Classifier,
  samples: Samples,
  stream: (row: number, run: Run) => Stream,
  loss: AttackLoss,
  runs: readonly Run[],
  options: ApgdOptions,
): Promise<Float32Array> {
  const { norm, eps, startField = uniformField } = options;
  const results = Array.from({ length: samples.count }, (_, row) => imageOf(samples, row));
  const logits = (await classifier.logits(samples)).slice();
  const logitsOf = (row: number) => logits.subarray(row * classifier.classes, (row + 1) * classifier.classes);
  const labelOf = (row: number) => samples.labels[row] as number;
  let withstanding = results.flatMap((_, row) => (isMisclassified(logitsOf(row), labelOf(row)) ? [] : [row]));
  for (const run of runs) {
    const searches = withstanding.map((row) => {
      const ball = new Ball(norm, results[row] as Float32Array, eps);
      const target = run.rank === undefined ? undefined : classOfRank(logitsOf(row), run.rank);
      return new ApgdSearch(ball, ball.start(startField(stream(row, run))), labelOf(row), target, options);
    });
    await searchByGradient(classifier, loss, searches);
    for (const [index, row] of withstanding.entries()) results[row] = searches[index]?.found ?? (results[row] as Float32Array);
    withstanding = withstanding.filter((_, index) => searches[index]?.found === undefined);
    if (withstanding.length === 0) break;
  }
  return joinImages(results);
}
