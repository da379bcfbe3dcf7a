/** @file An image made smaller and put somewhere on a black one, as a linear map with its transpose. */
import { CHANNELS, HEIGHT, IMAGE_VALUES, WIDTH } from './classifier.ts';

/** A place along one axis that a resized value is read from, and its weight. */
interface Tap {
  readonly from: number;
  readonly weight: number;
}

/** Bilinear resizing to side x side pixels (half-pixel centres, as image libraries do), then zeros around. */
export class ResizePad {
  readonly #taps: readonly (readonly Tap[])[];
  readonly #top: number;
  readonly #left: number;

  /** @param side 1 to 32 pixels. @param top, left 0 to 32 - side: place of the resized image */
  constructor(side: number, top: number, left: number) {
    this.#taps = tapsOf(HEIGHT, side);
    this.#top = top;
    this.#left = left;
  }

  /** The image as the classifier sees it. @param image [32,32,3] */
  apply(image: Float32Array): Float32Array {
    const seen = new Float32Array(IMAGE_VALUES);
    this.#each((to, from, weight) => {
      seen[to] = (seen[to] as number) + weight * (image[from] as number);
    });
    return seen;
  }

  /** The gradient with respect to the image, from that with respect to what the classifier saw. */
  transpose(gradient: Float32Array): Float32Array {
    const own = new Float32Array(IMAGE_VALUES);
    this.#each((to, from, weight) => {
      own[from] = (own[from] as number) + weight * (gradient[to] as number);
    });
    return own;
  }

  /** All entries of the matrix that aren't 0. */
  #each(visit: (to: number, from: number, weight: number) => void): void {
    for (const [y, rows] of this.#taps.entries())
      for (const [x, columns] of this.#taps.entries()) {
        const to = ((this.#top + y) * WIDTH + this.#left + x) * CHANNELS;
        for (const row of rows)
          for (const column of columns)
            for (let channel = 0; channel < CHANNELS; channel++)
              visit(to + channel, (row.from * WIDTH + column.from) * CHANNELS + channel, row.weight * column.weight);
      }
  }
}

/** For each place of the shorter axis the two nearest places of the longer one. */
function tapsOf(length: number, side: number): Tap[][] {
  return Array.from({ length: side }, (_, to) => {
    const at = Math.max(((to + 0.5) * length) / side - 0.5, 0);
    const from = Math.min(Math.trunc(at), length - 1);
    const share = at - from;
    return share === 0 || from === length - 1
      ? [{ from, weight: 1 }]
      : [
          { from, weight: 1 - share },
          { from: from + 1, weight: share },
        ];
  });
}
