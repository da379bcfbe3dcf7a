/**
 * @file Square Attack, L2 (Andriushchenko, Croce, Flammarion and Hein, ECCV 2020, arXiv 1912.00049, algorithm 3): random search that moves
 * the budget of one window to another and sees logits only. For L-infinity see square.ts.
 */
import type { Attack, Stream } from './attack.ts';
import { CHANNELS, HEIGHT, IMAGE_VALUES, WIDTH } from './classifier.ts';
import { randomSearch, windowShare } from './random-search.ts';

export interface SquareL2Options {
  /** L2 radius of the whole image in [0,1] pixel units. */
  readonly eps: number;
  /** Looks after the start; default 5000, as in AutoAttack. */
  readonly queries?: number;
  /** Share of the pixels in the first windows; default 0.8, as in AutoAttack. */
  readonly firstShare?: number;
  /** See square.ts; default false, as in AutoAttack. */
  readonly rescaled?: boolean;
}

/** Tiles of the start along each side of the image. */
const TILES = 5;
/** Keeps quotients of a window without any change finite. */
const TINY = 1e-12;

interface Window {
  readonly row: number;
  readonly column: number;
  readonly side: number;
}

/** Samples that are misclassified to begin with are returned as they are, those that withstand too. */
export function squareL2({ eps, queries = 5000, firstShare = 0.8, rescaled = false }: SquareL2Options): Attack {
  return randomSearch(queries, (clean, row, random) => {
    const stream = random.stream(row, 0);
    return {
      start: moved(clean, scaled(tiles(stream), eps)),
      change: (next, query) => {
        const share = windowShare(query, { queries, firstShare, rescaled });
        const change = Float64Array.from(next, (value, i) => value - (clean[i] as number));
        moveBudget(change, oddSide(share), eps, stream);
        next.set(moved(clean, change));
      },
    };
  });
}

/** Side of a window with this share of the pixels: odd and at least 3, so that both of its halves have a centre. */
function oddSide(share: number): number {
  const side = Math.max(Math.round(Math.sqrt(share * HEIGHT * WIDTH)), 3);
  return side % 2 === 0 ? side + 1 : side;
}

/**
 * Algorithm 3: the window `to` gets all that it and the window `from` had, and the share of each channel in what is left of eps, in the
 * direction of what it had plus the bumps of a random sign; `from` gets nothing. In place.
 */
function moveBudget(change: Float64Array, side: number, eps: number, stream: Stream): void {
  const to = randomWindow(side, stream);
  const from = randomWindow(side, stream);
  const unused = Math.max(eps ** 2 - change.reduce((sum, value) => sum + value ** 2, 0), 0);
  const bumps = unitBumps(side, stream.uniform() < 0.5);
  const own = indexes(to);
  const others = indexes(from);
  const union = [...new Set([...own, ...others])];
  for (let channel = 0; channel < CHANNELS; channel++) {
    const at = (pixel: number): number => change[pixel * CHANNELS + channel] as number;
    const lengthOver = (pixels: readonly number[]): number => Math.sqrt(pixels.reduce((sum, pixel) => sum + at(pixel) ** 2, 0));
    const available = Math.sqrt(lengthOver(union) ** 2 + unused / CHANNELS);
    const before = lengthOver(own) + TINY;
    const sign = randomSign(stream);
    const direction = own.map((pixel, i) => sign * (bumps[i] as number) + at(pixel) / before);
    const length = Math.hypot(...direction) + TINY;
    for (const pixel of others) change[pixel * CHANNELS + channel] = 0;
    for (const [i, pixel] of own.entries()) change[pixel * CHANNELS + channel] = ((direction[i] as number) / length) * available;
  }
}

const randomSign = (stream: Stream): number => (stream.uniform() < 0.5 ? -1 : 1);

function randomWindow(side: number, stream: Stream): Window {
  return {
    row: Math.trunc((HEIGHT - side + 1) * stream.uniform()),
    column: Math.trunc((WIDTH - side + 1) * stream.uniform()),
    side,
  };
}

/** Pixels of a window, row by row. */
function indexes({ row, column, side }: Window): number[] {
  return Array.from({ length: side * side }, (_, i) => (row + Math.trunc(i / side)) * WIDTH + column + (i % side));
}

/**
 * Equation 2: a bump [rows,columns] that falls from its centre in steps of squares; 1-based in the paper.
 * @returns the sum over k = 0..M of 1/(n+1-k)^2 with n = floor(rows/2) and M = n - max(|r - n - 1|, |s - floor(columns/2) - 1|)
 */
function bump(rows: number, columns: number): number[] {
  const n = Math.trunc(rows / 2);
  const middle = Math.trunc(columns / 2);
  return Array.from({ length: rows * columns }, (_, i) => {
    const rings = n - Math.max(Math.abs(Math.trunc(i / columns) - n), Math.abs((i % columns) - middle));
    let sum = 0;
    for (let k = 0; k <= rings; k++) sum += 1 / (n + 1 - k) ** 2;
    return sum;
  });
}

/** [side*side] of length 1: a bump beside a negative one, or, transposed, above it. */
function unitBumps(side: number, transposed: boolean): number[] {
  const half = Math.trunc(side / 2);
  const left = bump(side, half);
  const right = bump(side, side - half);
  const valueAt = (row: number, column: number): number =>
    column < half ? (left[row * half + column] as number) : -(right[row * (side - half) + column - half] as number);
  const values = Array.from({ length: side * side }, (_, i) => {
    const [row, column] = [Math.trunc(i / side), i % side];
    return transposed ? valueAt(column, row) : valueAt(row, column);
  });
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

/** The start: a bump pair of random direction and sign in each tile and channel. */
function tiles(stream: Stream): Float64Array {
  const change = new Float64Array(IMAGE_VALUES);
  const side = Math.trunc(HEIGHT / TILES);
  const margin = Math.trunc((HEIGHT - side * TILES) / 2);
  for (let tile = 0; tile < TILES * TILES; tile++) {
    const pixels = indexes({ row: margin + Math.trunc(tile / TILES) * side, column: margin + (tile % TILES) * side, side });
    const bumps = unitBumps(side, stream.uniform() < 0.5);
    for (let channel = 0; channel < CHANNELS; channel++) {
      const sign = randomSign(stream);
      for (const [i, pixel] of pixels.entries()) change[pixel * CHANNELS + channel] = sign * (bumps[i] as number);
    }
  }
  return change;
}

function scaled(change: Float64Array, eps: number): Float64Array {
  const length = Math.sqrt(change.reduce((sum, value) => sum + value ** 2, 0));
  return change.map((value) => (eps * value) / length);
}

/** clean + change, cut to [0,1]: the cut only shortens the change. */
function moved(clean: Float32Array, change: Float64Array): Float32Array {
  return clean.map((value, i) => Math.min(Math.max(value + (change[i] as number), 0), 1));
}
