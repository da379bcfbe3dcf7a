import { expect, test } from 'vitest';
import { VectorPool } from '../../../src/wire/index.ts';

test('vector pool: hands out a vector again when it was given back', () => {
  const pool = new VectorPool(3);
  const first = pool.take();
  expect(first).toHaveLength(3);
  pool.give(first);
  expect(pool.take()).toBe(first);
  expect(pool.take()).not.toBe(first);
});

test('vector pool: drops vectors that were transferred away, are of another length or are too many', () => {
  const pool = new VectorPool(2, 1);
  const gone = pool.take();
  structuredClone(gone, { transfer: [gone.buffer as ArrayBuffer] });
  pool.give(gone);
  pool.give(new Float32Array(5));
  const kept = new Float32Array(2);
  pool.give(kept);
  pool.give(new Float32Array(2));
  expect(pool.take()).toBe(kept);
  expect(pool.take()).not.toBe(kept);
});
