/** @file Comparison of long float32 vectors to the bit; vitest's own equality takes seconds for them. */

/** True when both have the same length and the same bits. */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}

function bytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
