/** @file Parsing of options that the benchmarks share. */
import { DeepDefenseError } from '../src/core/index.ts';

/** An integer of at least 1. @throws DeepDefenseError USAGE */
export function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new DeepDefenseError('USAGE', { what: `bad --${option}`, expected: 'an integer of at least 1', got: `"${text}"` });
}
