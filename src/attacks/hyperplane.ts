/** @file The smallest change of an image that brings it onto a hyperplane and leaves it in [0,1] (Croce and Hein, ICML 2020, arXiv 1907.02044, section 3.1). */
import type { BallNorm } from './ball.ts';

/**
 * The change with the smallest norm that takes a point to the hyperplane; where the box has no point of the hyperplane, the one that comes
 * nearest to it.
 * @param point [n] in [0,1]
 * @param normal [n]
 * @param value of the linear function at the point; 0 = the point is on the hyperplane
 * @returns [n]
 */
export function changeToHyperplane(norm: BallNorm, point: Float32Array, normal: Float32Array, value: number): Float32Array {
  const { length } = point;
  const room = new Float32Array(length);
  // Each value can go one way only, as far as the box lets it.
  for (let i = 0; i < length; i++) {
    const here = point[i] as number;
    room[i] = (normal[i] as number) * value > 0 ? here : 1 - here;
  }
  const amounts = norm === 'l1' ? steepestFirst(normal, room, Math.abs(value)) : allTogether(norm, normal, room, Math.abs(value));
  for (let i = 0; i < length; i++) if ((normal[i] as number) * value > 0) amounts[i] = -(amounts[i] as number);
  return amounts;
}

/**
 * All values move at once, in L-infinity at the same speed, in L2 at the speed of their slope, each until it meets the box. The sum that is
 * crossed is concave in time and made of straight pieces, so that Newton's method from 0 ends at the exact time after few rounds.
 */
function allTogether(norm: 'linf' | 'l2', normal: Float32Array, room: Float32Array, distance: number): Float32Array {
  const amounts = new Float32Array(normal.length);
  let time = 0;
  for (;;) {
    let [speed, stopped] = [0, 0];
    for (let i = 0; i < normal.length; i++) {
      const slope = Math.abs(normal[i] as number);
      const own = norm === 'l2' ? slope : 1;
      if (time * own < (room[i] as number)) speed += slope * own;
      else stopped += slope * (room[i] as number);
    }
    // Where everything has met the box, the hyperplane is beyond it.
    if (speed === 0) time = Number.POSITIVE_INFINITY;
    const next = (distance - stopped) / speed;
    if (speed === 0 || !(next > time)) break;
    time = next;
  }
  for (let i = 0; i < amounts.length; i++) {
    const slope = Math.abs(normal[i] as number);
    if (slope > 0) amounts[i] = Math.min(time * (norm === 'l2' ? slope : 1), room[i] as number);
  }
  return amounts;
}

/** One value after the other, the steepest first: each unit of change goes where it does most. */
function steepestFirst(normal: Float32Array, room: Float32Array, distance: number): Float32Array {
  const amounts = new Float32Array(normal.length);
  const slopes = normal.map(Math.abs);
  let left = distance;
  for (const i of Uint32Array.from(slopes.keys()).sort((a, b) => (slopes[b] as number) - (slopes[a] as number))) {
    const slope = slopes[i] as number;
    if (left <= 0 || slope === 0) break;
    const amount = Math.min(left / slope, room[i] as number);
    amounts[i] = amount;
    left -= amount * slope;
  }
  return amounts;
}
