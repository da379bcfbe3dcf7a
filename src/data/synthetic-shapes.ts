/**
 * @file The ten classes of the synthetic set as coverage functions: how much of a pixel (0..1) the foreground covers.
 * They differ in local structure only; position, size, colours and polarity carry nothing about the class.
 * Only +, -, *, /, sqrt and floor are used: IEEE 754 fixes their results, so every machine draws the same bytes.
 */
import type { Random } from '../core/index.ts';

/** Coverage of the pixel whose centre is (x, y), both in [0.5, 31.5], x to the right, y down. */
export type Coverage = (x: number, y: number) => number;

/** One class: its name and a function that draws a random member of it. */
export interface ShapeClass {
  readonly name: string;
  draw(random: Random): Coverage;
}

/** Coverage from a signed distance to the edge in pixels, negative inside: a soft edge one pixel wide. */
function soften(distance: number): number {
  const coverage = 0.5 - distance;
  return coverage < 0 ? 0 : coverage > 1 ? 1 : coverage;
}

function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random.uniform();
}

/** A point for the middle of a figure: at most 4 pixels from the centre of the image on each axis. */
function place(random: Random): { cx: number; cy: number } {
  return { cx: between(random, 12, 20), cy: between(random, 12, 20) };
}

/** A rotation by a small angle either way: tangent uniform in [-tilt, tilt]. */
function smallRotation(random: Random, tilt: number): { cos: number; sin: number } {
  const tangent = between(random, -tilt, tilt);
  const cos = 1 / Math.sqrt(1 + tangent * tangent);
  return { cos, sin: tangent * cos };
}

/** A rotation by any angle, uniform (a point drawn from the disc, normalised). */
function anyRotation(random: Random): { cos: number; sin: number } {
  for (;;) {
    const x = between(random, -1, 1);
    const y = between(random, -1, 1);
    const square = x * x + y * y;
    if (square > 0.01 && square <= 1) {
      const length = Math.sqrt(square);
      return { cos: x / length, sin: y / length };
    }
  }
}

/** Signed distance to the nearest stripe, stripes being half of each period wide. */
function stripeDistance(across: number, period: number): number {
  const phase = across / period;
  const fraction = phase - Math.floor(phase);
  return (Math.abs(fraction - 0.5) - 0.25) * period;
}

function stripes(directionX: number, directionY: number): (random: Random) => Coverage {
  return (random) => {
    const { cos, sin } = smallRotation(random, 0.12);
    const flip = directionX !== 0 && directionY !== 0 && random.integer(2) === 1 ? -1 : 1;
    const dx = cos * directionX * flip - sin * directionY;
    const dy = sin * directionX * flip + cos * directionY;
    const period = between(random, 5, 8);
    const shift = between(random, 0, period);
    return (x, y) => soften(stripeDistance(x * dx + y * dy + shift, period));
  };
}

const HALF_ROOT = Math.sqrt(0.5);

/** The classes in label order. */
export const SHAPE_CLASSES: readonly ShapeClass[] = [
  {
    name: 'disc',
    draw: (random) => {
      const radius = between(random, 6, 10);
      const { cx, cy } = place(random);
      return (x, y) => soften(Math.sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy)) - radius);
    },
  },
  {
    name: 'ring',
    draw: (random) => {
      const radius = between(random, 7, 10);
      const halfWidth = between(random, 1, 1.6);
      const { cx, cy } = place(random);
      return (x, y) => soften(Math.abs(Math.sqrt((x - cx) * (x - cx) + (y - cy) * (y - cy)) - radius) - halfWidth);
    },
  },
  {
    name: 'square outline',
    draw: (random) => {
      const radius = between(random, 7, 9.5);
      const halfWidth = between(random, 1, 1.6);
      const { cx, cy } = place(random);
      const { cos, sin } = smallRotation(random, 0.15);
      return (x, y) => {
        const u = Math.abs(cos * (x - cx) + sin * (y - cy));
        const v = Math.abs(cos * (y - cy) - sin * (x - cx));
        return soften(Math.abs((u > v ? u : v) - radius) - halfWidth);
      };
    },
  },
  {
    name: 'cross',
    draw: (random) => {
      const length = between(random, 8, 11);
      const halfWidth = between(random, 1.5, 2.5);
      const { cx, cy } = place(random);
      const { cos, sin } = smallRotation(random, 0.2);
      return (x, y) => {
        const u = Math.abs(cos * (x - cx) + sin * (y - cy));
        const v = Math.abs(cos * (y - cy) - sin * (x - cx));
        const longer = u > v ? u : v;
        const shorter = u > v ? v : u;
        return soften(shorter - halfWidth > longer - length ? shorter - halfWidth : longer - length);
      };
    },
  },
  {
    name: 'triangle',
    draw: (random) => {
      const inradius = between(random, 5, 6.5);
      const { cx, cy } = place(random);
      const { cos, sin } = smallRotation(random, 0.2);
      const upsideDown = random.integer(2) === 1 ? -1 : 1;
      const rootThree = Math.sqrt(3);
      return (x, y) => {
        const u = cos * (x - cx) + sin * (y - cy);
        const v = (cos * (y - cy) - sin * (x - cx)) * upsideDown;
        const slanted = (rootThree * Math.abs(u) - v) / 2;
        return soften((slanted > v ? slanted : v) - inradius);
      };
    },
  },
  { name: 'horizontal stripes', draw: stripes(0, 1) },
  { name: 'vertical stripes', draw: stripes(1, 0) },
  { name: 'diagonal stripes', draw: stripes(HALF_ROOT, HALF_ROOT) },
  {
    name: 'checkerboard',
    draw: (random) => {
      const { cos, sin } = smallRotation(random, 0.12);
      const period = between(random, 8, 12);
      const shiftX = between(random, 0, period);
      const shiftY = between(random, 0, period);
      return (x, y) => {
        const a = soften(stripeDistance(cos * x + sin * y + shiftX, period));
        const b = soften(stripeDistance(cos * y - sin * x + shiftY, period));
        return a + b - 2 * a * b;
      };
    },
  },
  {
    name: 'dots',
    draw: (random) => {
      const period = between(random, 6, 9);
      const radius = period * between(random, 0.22, 0.3);
      const { cos, sin } = anyRotation(random);
      const shiftX = between(random, 0, period);
      const shiftY = between(random, 0, period);
      return (x, y) => {
        const u = (cos * x + sin * y + shiftX) / period;
        const v = (cos * y - sin * x + shiftY) / period;
        const du = (u - Math.floor(u) - 0.5) * period;
        const dv = (v - Math.floor(v) - 0.5) * period;
        return soften(Math.sqrt(du * du + dv * dv) - radius);
      };
    },
  },
];
