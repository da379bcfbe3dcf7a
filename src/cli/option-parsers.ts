/** @file Parsers of option values; a bad value is a usage error that names the range. */
import { InvalidArgumentError } from 'commander';

/** A parser of integers in [min, max]. */
export function integerIn(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`expected an integer in ${min}..${max}, got "${text}"`);
    }
    return value;
  };
}

/** A parser of integers from `min` up to the largest exact one. */
export function integerFrom(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`expected an integer >= ${min}, got "${text}"`);
    }
    return value;
  };
}

/** A parser of numbers in [min, max]. */
export function numberIn(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < min || value > max)
      throw new InvalidArgumentError(`expected a number in ${min}..${max}, got "${text}"`);
    return value;
  };
}

/** A parser of `HOST:PORT`; IPv6 hosts stand in brackets. */
export function hostAndPort(text: string): string {
  if (isHostAndPort(text)) return text;
  throw new InvalidArgumentError(`expected HOST:PORT, for example 127.0.0.1:50051, got "${text}"`);
}

export function isHostAndPort(text: string): boolean {
  const match = /^(?:\[[0-9a-fA-F:.%]+\]|[^:\s]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[1]);
  return match !== null && port >= 1 && port <= 65535;
}

/** Name of a run or sweep, which becomes part of paths and subjects. */
export function plainId(text: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('expected 1 to 64 letters, digits, "-" or "_".');
}

/** A number from 0 to 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) throw new InvalidArgumentError(`expected a number from 0 to 1, got "${text}"`);
  return value;
}
