/**
 * @file Square Attack, L-infinity (Andriushchenko, Croce, Flammarion and Hein, ECCV 2020, arXiv 1912.00049, algorithms 1 and 2): random search
 * that changes one square at a time and sees logits only. Gradient masking doesn't help against it.
 */
import type { Attack, Stream } from './attack.ts';
import { Ball } from './ball.ts';
import { CHANNELS, HEIGHT, WIDTH } from './classifier.ts';
import { randomSearch, windowShare } from './random-search.ts';

export interface SquareOptions {
  /** L-infinity radius in [0,1] pixel units. */
  readonly eps: number;
  /** Looks after the start; default 5000, as in AutoAttack. */
  readonly queries?: number;
  /** Share of the pixels in the first squares; default 0.8. */
  readonly firstShare?: number;
  /** Shrinks the squares by the share of queries that are over instead of by their number (made for 10 000 queries). Default false, as in AutoAttack. */
  readonly rescaled?: boolean;
  /** Where the randomness of a sample comes from; default its own stream. */
  readonly draws?: (stream: Stream, row: number) => SquareDraws;
}

/** What the attack draws. */
export interface SquareDraws {
  /** [channels * columns] of signs: the stripes of the start. */
  stripes(): ArrayLike<number>;
  /** The corner of a square of `side` pixels, and one sign per channel. */
  square(query: number, side: number): { readonly row: number; readonly column: number; readonly signs: readonly number[] };
}

const signOf = (uniform: number): number => Math.sign(2 * uniform - 1);

function streamDraws(stream: Stream): SquareDraws {
  return {
    stripes: () => Float32Array.from({ length: CHANNELS * WIDTH }, () => signOf(stream.uniform())),
    square: (_, side) => ({
      // As in the reference implementation, the last place is never drawn.
      row: Math.trunc((HEIGHT - side) * stream.uniform()),
      column: Math.trunc((WIDTH - side) * stream.uniform()),
      signs: Array.from({ length: CHANNELS }, () => signOf(stream.uniform())),
    }),
  };
}

/** Samples that are misclassified to begin with are returned as they are, those that withstand too. */
export function square({ eps, queries = 5000, firstShare = 0.8, rescaled = false, draws = streamDraws }: SquareOptions): Attack {
  return randomSearch(queries, (clean, row, random) => {
    const ball = new Ball('linf', clean, eps);
    const drawn = draws(random.stream(row, 0), row);
    const stripes = drawn.stripes();
    const start = clean.map((value, i) => {
      const channel = i % CHANNELS;
      const column = Math.trunc(i / CHANNELS) % WIDTH;
      return Math.min(Math.max(value + eps * (stripes[channel * WIDTH + column] as number), 0), 1);
    });
    return {
      start,
      change: (next, query) => {
        const share = windowShare(query, { queries, firstShare, rescaled });
        const side = Math.max(Math.round(Math.sqrt(share * HEIGHT * WIDTH)), 1);
        moveSquare(ball, next, side, drawn.square(query, side));
      },
    };
  });
}

/** Moves a square by 2 eps, by the sign of each channel, back in the ball. */
function moveSquare(
  { eps, low, high }: Ball,
  next: Float32Array,
  side: number,
  { row, column, signs }: ReturnType<SquareDraws['square']>,
): void {
  for (let y = row; y < row + side; y++)
    for (let x = column; x < column + side; x++)
      for (let channel = 0; channel < CHANNELS; channel++) {
        const i = (y * WIDTH + x) * CHANNELS + channel;
        const value = (next[i] as number) + 2 * eps * (signs[channel] as number);
        next[i] = Math.min(Math.max(value, low[i] as number), high[i] as number);
      }
}
