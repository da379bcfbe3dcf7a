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
  const pool = new VectorPool(2, { keep: 1 });
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

test('vector pool: takes back what was offered and not adopted', () => {
  const pool = new VectorPool(2, { keep: Number.POSITIVE_INFINITY });
  const [refused, counted] = [pool.take(), pool.take()];
  pool.adopt(counted);
  pool.reclaim(counted);
  pool.reclaim(refused);
  expect(pool.free).toBe(1);
  pool.give(counted);
  expect(pool.free).toBe(2);
  // Adoption ends when the vector is handed out again.
  expect(pool.take()).toBe(counted);
  pool.reclaim(counted);
  expect(pool.free).toBe(2);
});

test('vector pool: refuses a vector that was handed back before', () => {
  const pool = new VectorPool(2);
  const vector = pool.take();
  pool.give(vector);
  expect(() => pool.give(vector)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  expect(pool.free).toBe(1);
});

test('vector pool: makes vectors in the memory that it is told of', () => {
  const made: Float32Array[] = [];
  const pool = new VectorPool(3, { allocate: (elements) => made[made.push(new Float32Array(elements)) - 1] as Float32Array });
  expect(pool.take()).toBe(made[0]);
  expect(made[0]).toHaveLength(3);
});
