/**
 * @file HopSkipJump (Chen, Jordan and Wainwright, IEEE S&P 2020, arXiv 1904.02144, algorithm 2): walks along the decision boundary towards the
 * clean image. Of the classifier it sees the decision only, so that neither gradients nor logits can mislead it.
 */
import { type Attack, imageOf, joinImages, type Stream, uniformField } from './attack.ts';
import { lengthOf } from './ball.ts';
import { IMAGE_VALUES } from './classifier.ts';
import { correctRows, isMisclassified, type Look, type Search, searchByLogits } from './search.ts';

export interface HopSkipJumpOptions {
  /** Whose distance gets smaller. */
  readonly norm: 'l2' | 'linf';
  /** Decisions to look at, in all; default 5000. */
  readonly queries?: number;
  /** Decisions for the first estimate of a direction; later ones take sqrt(t) times as many. Default 100. */
  readonly initialEvaluations?: number;
}

/** Decisions for one estimate, at most. */
const MOST_EVALUATIONS = 10_000;
/** Noise images to try for a start. */
const STARTS = 100;
/** Blends of a start with the clean image are this near to the nearest one that is misclassified. */
const START_TOLERANCE = 1e-3;

/** Asks for the decision on an image; the answer is true where it is misclassified. */
type Walk = Generator<Float32Array, undefined, boolean>;

/** Runs a walk, and keeps the nearest misclassified image that it looked at. */
class WalkSearch implements Search<Look> {
  readonly label: number;
  image: Float32Array;
  done = false;
  /** Nearest misclassified image, once there is one. */
  nearest: Float32Array | undefined;
  readonly #walk: Walk;
  readonly #distance: (image: Float32Array) => number;
  #left: number;
  #smallest = Number.POSITIVE_INFINITY;

  constructor(label: number, walk: Walk, distance: (image: Float32Array) => number, queries: number) {
    this.label = label;
    this.#walk = walk;
    this.#distance = distance;
    this.#left = queries;
    this.image = walk.next().value as Float32Array;
  }

  observe({ logits }: Look): void {
    const misclassified = isMisclassified(logits, this.label);
    const distance = misclassified ? this.#distance(this.image) : Number.POSITIVE_INFINITY;
    if (distance < this.#smallest) {
      this.nearest = this.image;
      this.#smallest = distance;
    }
    this.#left -= 1;
    const next = this.#walk.next(misclassified);
    this.done = next.done === true || this.#left <= 0;
    if (next.done !== true) this.image = next.value;
  }
}

/**
 * Minimum-norm attack: returns the nearest misclassified image that it saw. Samples that are misclassified to begin with are returned as they
 * are, as are those for which no start was found.
 */
export function hopSkipJump({ norm, queries = 5000, initialEvaluations = 100 }: HopSkipJumpOptions): Attack {
  return async (classifier, samples, random) => {
    const results = Array.from({ length: samples.count }, (_, row) => imageOf(samples, row));
    const open = await correctRows(classifier, samples);
    const searches = open.map((row) => {
      const geometry = new Geometry(norm, results[row] as Float32Array);
      const walk = walkFrom(geometry, random.stream(row, 0), initialEvaluations);
      return new WalkSearch(samples.labels[row] as number, walk, (image) => geometry.distance(image), queries);
    });
    await searchByLogits(classifier, searches);
    for (const [index, row] of open.entries()) results[row] = searches[index]?.nearest ?? (results[row] as Float32Array);
    return joinImages(results);
  };
}

/** What depends on the norm. */
class Geometry {
  readonly norm: 'l2' | 'linf';
  readonly clean: Float32Array;

  constructor(norm: 'l2' | 'linf', clean: Float32Array) {
    this.norm = norm;
    this.clean = clean;
  }

  distance(image: Float32Array): number {
    const change = image.map((value, i) => value - (this.clean[i] as number));
    return this.norm === 'l2' ? lengthOf(change) : change.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  }

  /** theta of section III-C.c with gamma 1: d^(-3/2) for l2, d^(-2) for linf. */
  get tolerance(): number {
    return this.norm === 'l2' ? IMAGE_VALUES ** -1.5 : IMAGE_VALUES ** -2;
  }

  /** delta_t: by how much an estimate moves the image to both sides; sqrt(d) theta or d theta times the distance, which is distance / d. */
  probeSize(distance: number, iteration: number): number {
    return iteration === 1 ? 0.1 : distance / IMAGE_VALUES;
  }

  /** The projection of section III-C.b at `share`, 1 being `image` itself: a blend for l2; cut to the ball of share * distance for linf. */
  between(image: Float32Array, share: number): Float32Array {
    if (this.norm === 'l2') return blend(this.clean, image, share);
    const radius = share * this.distance(image);
    return image.map((value, i) => {
      const centre = this.clean[i] as number;
      return Math.min(Math.max(value, centre - radius), centre + radius);
    });
  }
}

function blend(clean: Float32Array, image: Float32Array, share: number): Float32Array {
  return image.map((value, i) => (1 - share) * (clean[i] as number) + share * value);
}

/** Algorithm 2, until its caller has looked often enough. */
function* walkFrom(geometry: Geometry, stream: Stream, initialEvaluations: number): Walk {
  let image = yield* start(geometry.clean, stream);
  if (image === undefined) return undefined;
  const { tolerance } = geometry;
  image = yield* nearest((share) => geometry.between(image as Float32Array, share), tolerance);
  for (let iteration = 1; ; iteration++) {
    const distance = geometry.distance(image);
    const evaluations = Math.min(Math.trunc(initialEvaluations * Math.sqrt(iteration)), MOST_EVALUATIONS);
    const direction = yield* estimate(geometry, image, geometry.probeSize(distance, iteration), evaluations, stream);
    const reached: Float32Array = yield* hop(image, direction, distance / Math.sqrt(iteration));
    image = yield* nearest((share) => geometry.between(reached, share), tolerance);
  }
}

/** A misclassified blend of uniform noise with as much of the clean image as it bears; undefined where no noise is misclassified. */
function* start(clean: Float32Array, stream: Stream): Generator<Float32Array, Float32Array | undefined, boolean> {
  for (let attempt = 0; attempt < STARTS; attempt++) {
    const noise = uniformField(stream).map((value) => (value + 1) / 2);
    if (yield noise) return yield* nearest((share) => blend(clean, noise, share), START_TOLERANCE);
  }
  return undefined;
}

/** The image of the smallest share that is misclassified, by bisection (algorithm 1); that of 1 is. */
function* nearest(imageAt: (share: number) => Float32Array, tolerance: number): Generator<Float32Array, Float32Array, boolean> {
  let low = 0;
  let high = 1;
  let best = imageAt(1);
  while (high - low > tolerance) {
    const middle = (low + high) / 2;
    const image = imageAt(middle);
    if (yield image) {
      high = middle;
      best = image;
    } else low = middle;
  }
  return best;
}

/**
 * The direction across the boundary by a Monte Carlo estimate (equations 9 and 16): the mean of random unit directions, each with the sign of
 * the decision there, less the mean sign as a baseline. Directions are normal for l2, uniform in the cube for linf.
 * @returns of length 1 for l2, signs for linf
 */
function* estimate(
  { norm }: Geometry,
  image: Float32Array,
  size: number,
  evaluations: number,
  stream: Stream,
): Generator<Float32Array, Float32Array, boolean> {
  const all = new Float32Array(IMAGE_VALUES);
  const misclassified = new Float32Array(IMAGE_VALUES);
  let hits = 0;
  for (let evaluation = 0; evaluation < evaluations; evaluation++) {
    const field = norm === 'l2' ? Float32Array.from({ length: IMAGE_VALUES }, () => stream.normal()) : uniformField(stream);
    const scale = size / lengthOf(field);
    const probe = image.map((value, i) => Math.min(Math.max(value + scale * (field[i] as number), 0), 1));
    const hit = yield probe;
    if (hit) hits += 1;
    for (let i = 0; i < IMAGE_VALUES; i++) {
      // What was moved indeed, after the cut to [0,1].
      const moved = ((probe[i] as number) - (image[i] as number)) / size;
      all[i] = (all[i] as number) + moved;
      if (hit) misclassified[i] = (misclassified[i] as number) + moved;
    }
  }
  const meanSign = (2 * hits) / evaluations - 1;
  // Where all decisions agree there is no baseline to take off.
  const baseline = Math.abs(meanSign) === 1 ? 0 : meanSign;
  const direction = all.map((sum, i) => 2 * (misclassified[i] as number) - sum - baseline * sum);
  if (norm === 'linf') return direction.map(Math.sign);
  const length = lengthOf(direction);
  return length === 0 ? direction : direction.map((value) => value / length);
}

/** A step along the direction, halved until it ends at a misclassified image; one too small to change the image is none. */
function* hop(image: Float32Array, direction: Float32Array, first: number): Generator<Float32Array, Float32Array, boolean> {
  for (let size = first; size > Number.EPSILON; size /= 2) {
    const candidate = image.map((value, i) => Math.min(Math.max(value + size * (direction[i] as number), 0), 1));
    if (yield candidate) return candidate;
  }
  return image;
}
