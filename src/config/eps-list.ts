/** @file Radii as people write them: `8/255`, `0.03`, lists of both. */
import { DeepDefenseError } from '../core/index.ts';
import type { Norm } from './attack-catalogue.ts';

/** Largest radius that makes sense for images in [0,1]; larger ones are typing errors. */
const LARGEST: Readonly<Record<Norm, number>> = { linf: 1, l2: 20, l1: 3072, l0: 1024 };

/** Radii that an attack gets where neither the options nor the suite name any; those of `l0` are numbers of pixels. */
export const DEFAULT_RADII: Readonly<Record<Exclude<Norm, 'linf'>, readonly number[]>> = {
  l2: [0.5],
  l1: [12],
  l0: [1],
};

/**
 * Parses radii in [0,1] pixel units, separated by commas; each is a number or a quotient.
 * @returns ascending, without repetitions
 * @throws DeepDefenseError USAGE for what is no number, negative, or larger than makes sense in the norm.
 */
export function parseEpsList(text: string, norm: Norm): number[] {
  const radii = text.split(',').map((part) => parseEps(part.trim(), norm));
  return [...new Set(radii)].sort((a, b) => a - b);
}

function parseEps(text: string, norm: Norm): number {
  const [dividend = '', divisor = '1', ...rest] = text.split('/');
  const value = rest.length > 0 ? Number.NaN : numberOf(dividend) / numberOf(divisor);
  const largest = LARGEST[norm];
  if (value >= 0 && value <= largest && (norm !== 'l0' || Number.isInteger(value))) return value;
  const pixels = Number.isFinite(value) && value > largest && value <= 255 && divisor === '1';
  throw new DeepDefenseError('USAGE', {
    what: `"${text}" is no radius of norm ${norm}`,
    expected:
      norm === 'l0'
        ? `a whole number of pixels up to ${largest}`
        : `a number from 0 to ${largest} in [0,1] pixel units, for example ${norm === 'linf' ? '8/255 or 0.03' : '0.5 or 128/255'}`,
    todo: pixels ? `did you mean ${dividend}/255?` : 'separate several radii by commas',
  });
}

/** NaN where the text is anything but a plain decimal number. */
function numberOf(text: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
}

/** `8/255` for whole and half steps of pixel values, else four digits. */
export function formatEps(eps: number): string {
  const halves = eps * 510;
  if (Math.abs(halves - Math.round(halves)) > 1e-6 || eps > 0.25) return String(Number(eps.toPrecision(4)));
  return eps === 0 ? '0' : `${Math.round(halves) / 2}/255`;
}
