/**
 * @file bfloat16: the upper half of a float32, so 8 bits of exponent and 7 of fraction. Vectors stay Float32Arrays whose values are
 * bfloat16 values; only on the wire do they take two bytes each.
 */

const INFINITY_BITS = 0x7f800000;
const QUIET = 0x00400000;

/** Rounds each value to the nearest bfloat16 value, ties to even, in place. NaN stays NaN. */
export function roundToBfloat16(values: Float32Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    // A carry out of the fraction raises the exponent, which is the right result up to infinity; a NaN must not lose its last bit.
    words[i] = (word & 0x7fffffff) > INFINITY_BITS ? (word | QUIET) & 0xffff0000 : (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  }
}

/**
 * The bfloat16 bits of values that are bfloat16 values already, little-endian, two bytes each.
 * @param values rounded by {@link roundToBfloat16}; of others the lower half is cut off
 */
export function packBfloat16(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.buffer, values.byteOffset, values.length * 2);
  const packed = new Uint16Array(values.length);
  for (let i = 0; i < packed.length; i++) packed[i] = halves[2 * i + 1] as number;
  return packed;
}

/** Turns bfloat16 values, which fill the upper half of the vector's bytes, into float32 values over the whole of it. */
export function widenBfloat16(values: Float32Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const packed = new Uint16Array(values.buffer, values.byteOffset + values.length * 2, values.length);
  // Ascending, the place that is written never lies beyond the one that is read.
  for (let i = 0; i < words.length; i++) words[i] = (packed[i] as number) << 16;
}
