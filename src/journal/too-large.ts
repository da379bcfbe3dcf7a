/** @file The error of what doesn't fit into a line, a message or a record. */
import { DeepDefenseError } from '../core/index.ts';

/** @param size bytes; @param most bytes that fit */
export function tooLarge(what: string, size: number, most: number): DeepDefenseError {
  return new DeepDefenseError('PAYLOAD_TOO_LARGE', {
    what: `${what} is too large`,
    expected: `${most} bytes at most`,
    got: `${size} bytes`,
    fields: { size, most },
  });
}
