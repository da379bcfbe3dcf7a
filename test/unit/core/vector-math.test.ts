import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, test } from 'vitest';
import {
  packBfloat16,
  plainVectorMath,
  Random,
  roundToBfloat16,
  sha256,
  WasmVectorMath,
  writeFileAtomic,
} from '../../../src/core/index.ts';

const wasm = new WasmVectorMath();
const random = new Random('order', 20261122);
/** Around the blocks of 2, 4 and 16 values. */
const LENGTHS = [0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 63, 130, 1001];
const SPECIAL = [
  0,
  -0,
  1.4e-45,
  -1.4e-45,
  1.1754942e-38,
  3.4028235e38,
  -3.4028235e38,
  Number.POSITIVE_INFINITY,
  Number.NaN,
  1e-30,
  16777217,
];

/** Values over the whole range of float32, subnormal ones included; with `special`, also zeros, limits, NaN and infinity. */
function randomValues(length: number, special: boolean): Float32Array {
  return Float32Array.from({ length }, () => {
    if (special && random.integer(8) === 0) return SPECIAL[random.integer(SPECIAL.length)] as number;
    return random.normal() * 2 ** (random.integer(special ? 250 : 60) - (special ? 149 : 40));
  });
}

/** The same values in the WebAssembly memory. */
function inside(values: Float32Array): Float32Array {
  const vector = wasm.allocate(values.length);
  vector.set(values);
  return vector;
}

/** Bits of a vector; the payload and sign of a NaN are nobody's business. */
function bits(values: Float32Array): string {
  const words = new Uint32Array(values.slice().buffer);
  for (const [index, value] of values.entries()) if (Number.isNaN(value)) words[index] = 0x7fc00000;
  return Buffer.from(words.buffer).toString('hex');
}

/** By distances to the two neighbours, not by bit tricks: an independent reference. */
function nearestBfloat16(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const at = (word: number): number => new Float32Array(Uint32Array.of(word).buffer)[0] as number;
  const below = (new Uint32Array(Float32Array.of(Math.abs(value)).buffer)[0] as number) & 0xffff0000;
  const [low, high] = [at(below), at(below + 0x10000)];
  // The value above the largest finite one would be 2^128.
  const distance = (Number.isFinite(high) ? high : 2 ** 128) - Math.abs(value) - (Math.abs(value) - low);
  const even = (below >>> 16) % 2 === 0;
  return Math.sign(value) * (distance < 0 || (distance === 0 && !even) ? high : low);
}

const cases = LENGTHS.flatMap((length) => [false, true].map((special) => ({ length, special })));

describe('vector arithmetic in WebAssembly: same bits as the plain loops', () => {
  it.each(cases)('accumulate, $length values, special $special', ({ length, special }) => {
    for (const divisor of [1, 2, 3, 7, 8, 1000, 2 ** 24])
      for (const count of [0, 1, 2, 3, 5]) {
        const target = randomValues(length, special);
        const addends = Array.from({ length: count }, () => randomValues(length, special));
        const other = inside(target);
        wasm.accumulate(
          other,
          addends.map((addend) => inside(addend)),
          divisor,
        );
        // Not by the plain loops alone: float64 and a rounding after each operation, as the interface says.
        let expected = addends.reduce((sum, addend) => sum.map((value, i) => Math.fround(value + (addend[i] as number))), target);
        expected = expected.map((value) => Math.fround(value / divisor));
        expect(bits(other)).toBe(bits(expected));
        plainVectorMath.accumulate(target, addends, divisor);
        expect(bits(target)).toBe(bits(expected));
      }
  });

  it.each(cases)('accumulate in bfloat16, $length values, special $special', ({ length, special }) => {
    for (const divisor of [1, 3, 8])
      for (const count of [0, 1, 2, 5]) {
        const target = randomValues(length, special);
        const addends = Array.from({ length: count }, () => randomValues(length, special));
        const other = inside(target);
        wasm.accumulate(
          other,
          addends.map((addend) => inside(addend)),
          divisor,
          'bfloat16',
        );
        let expected = addends.reduce(
          (sum, addend) => sum.map((value, i) => nearestBfloat16(Math.fround(value + (addend[i] as number)))),
          target,
        );
        expected = expected.map((value) => Math.fround(value / divisor));
        expect(bits(other)).toBe(bits(expected));
        plainVectorMath.accumulate(target, addends, divisor, 'bfloat16');
        expect(bits(target)).toBe(bits(expected));
      }
  });

  it.each(cases)('bfloat16 to the wire and back, $length values, special $special', ({ length, special }) => {
    const values = randomValues(length, special);
    roundToBfloat16(values);
    for (const math of [plainVectorMath, wasm]) {
      const vector = math.allocate(length);
      new Uint16Array(vector.buffer, vector.byteOffset + 2 * length, length).set(packBfloat16(values));
      math.widen(vector);
      expect(bits(vector)).toBe(bits(values));
    }
  });

  it.each(cases)('sums of squares and finiteness, $length values, special $special', ({ length, special }) => {
    for (let round = 0; round < 5; round++) {
      const values = randomValues(length, special);
      const vector = inside(values);
      expect(wasm.sumOfSquares(vector)).toBe(plainVectorMath.sumOfSquares(values));
      expect(plainVectorMath.sumOfSquares(values)).toBe(values.reduce((sum, value) => sum + value * value, 0));
      expect(wasm.allFinite(vector)).toBe(values.every(Number.isFinite));
      expect(plainVectorMath.allFinite(values)).toBe(values.every(Number.isFinite));
    }
  });

  it.each(cases)('updates, $length values, special $special', ({ length, special }) => {
    const from = Math.min(length, 1 + random.integer(4));
    for (const range of [
      { from: 0, to: length },
      { from, to: length },
      { from, to: Math.max(from, length - 1) },
    ]) {
      const [p, g, v] = [randomValues(length, special), randomValues(length, special), randomValues(length, special)];
      const second = randomValues(length, special).map((value) => Math.abs(value));
      const scale = 0.3 + random.uniform();
      const sgd = { learningRate: 0.013, scale, weightDecay: 1e-4 };
      for (const nesterov of [false, true]) {
        const factors = { ...sgd, momentum: 0.9, nesterov };
        compare([p, g, v], (math, [a, b, c]) => math.momentum(a, b, c, range, factors, 0.7));
      }
      compare([p, g, v], (math, [a, b]) => math.sgd(a, b, range, sgd, 0.7));
      const adam = { scale, l2: 1e-4, keep: 0.9993, beta1: 0.9, beta2: 0.999, stepSize: 0.0031, correction: 0.0547, epsilon: 1e-8 };
      compare([p, g, v, second], (math, [a, b, c, d]) => math.adam(a, b, c, d as Float32Array, range, adam, 0.7));
    }
  });

  function compare(
    vectors: readonly Float32Array[],
    update: (math: typeof plainVectorMath, vectors: [Float32Array, Float32Array, Float32Array, Float32Array?]) => number,
  ): void {
    const plain = vectors.map((values) => values.slice()) as [Float32Array, Float32Array, Float32Array];
    const other = vectors.map((values) => inside(values)) as [Float32Array, Float32Array, Float32Array];
    const sum = update(plainVectorMath, plain);
    expect(update(wasm, other)).toBe(sum);
    expect(other.map((values) => bits(values))).toEqual(plain.map((values) => bits(values)));
  }
});

describe('vector memory', () => {
  it('keeps vectors usable when it grows, zeroed and at cache lines', () => {
    const math = new WasmVectorMath();
    const first = math.allocate(5);
    first.fill(2);
    const second = math.allocate(1_000_001);
    const third = math.allocate(5);
    expect([first, second, third].map(({ byteOffset }) => byteOffset % 64)).toEqual([0, 0, 0]);
    expect([...third]).toEqual([0, 0, 0, 0, 0]);
    third.fill(1);
    math.accumulate(first, [third, third], 3);
    expect([...first]).toEqual([4, 4, 4, 4, 4].map((value) => Math.fround(value / 3)));
    expect(second.every((value) => value === 0)).toBe(true);
    expect([...third]).toEqual([1, 1, 1, 1, 1]);
  });

  it('works at addresses above 2 GiB and up to its end', () => {
    const math = new WasmVectorMath();
    const low = math.allocate(20).fill(1.5);
    // Reserved, never written: no memory is taken.
    math.allocate(1_073_000_000);
    const room = 65_535 * 65_536 - Math.ceil(math.usedBytes / 64) * 64;
    const high = math.allocate(room / 4);
    expect(high.byteOffset + high.byteLength).toBe(65_535 * 65_536);
    const last = high.subarray(-20).fill(0.25);
    math.accumulate(last, [low], 2);
    expect([...last]).toEqual(Array.from({ length: 20 }, () => 0.875));
    expect(math.sumOfSquares(last)).toBe(20 * 0.875 ** 2);
    expect(() => math.allocate(1)).toThrow(expect.objectContaining({ code: 'ENGINE_FAILED' }));
  });

  it('says what is full', () => {
    const math = new WasmVectorMath({ maximumBytes: 3 * 65_536 });
    math.allocate(40_000);
    expect(() => math.allocate(40_000)).toThrow(/at most 196608 bytes .*\n.*160512 bytes in use and 160000 more/);
    expect(math.allocate(9_000)).toHaveLength(9_000);
  });

  it('refuses vectors of another memory, other lengths and bad numbers', () => {
    const vector = wasm.allocate(4);
    const internal = (message: RegExp): unknown =>
      expect.objectContaining({ code: 'INTERNAL', message: expect.stringMatching(message) as string });
    expect(() => wasm.sumOfSquares(new Float32Array(4))).toThrow(internal(/another memory/));
    expect(() => wasm.allFinite(new WasmVectorMath().allocate(4))).toThrow(internal(/another memory/));
    expect(() => wasm.accumulate(vector, [new Float32Array(4)], 1)).toThrow(internal(/another memory/));
    expect(() => wasm.accumulate(vector, [wasm.allocate(5)], 1)).toThrow(internal(/different lengths/));
    for (const divisor of [0, 1.5, 2 ** 24 + 1, Number.NaN])
      expect(() => wasm.accumulate(vector, [], divisor)).toThrow(internal(/bad divisor/));
    const factors = { learningRate: 1, scale: 1, weightDecay: 0 };
    for (const range of [
      { from: -1, to: 2 },
      { from: 0, to: 5 },
      { from: 3, to: 2 },
    ])
      expect(() => wasm.sgd(vector, wasm.allocate(4), range, factors, 0)).toThrow(internal(/bad range/));
    expect(() => wasm.allocate(-1)).toThrow(internal(/bad length/));
    expect(() =>
      wasm.accumulate(
        vector,
        Array.from({ length: 129 }, () => wasm.allocate(4)),
        1,
      ),
    ).toThrow(internal(/more than 128/));
  });

  it('holds vectors that hashes and files take as they are', async () => {
    const vector = inside(Float32Array.of(1, -2));
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
    const expected = createHash('sha256')
      .update(Buffer.from(Float32Array.of(1, -2).buffer))
      .digest('hex');
    expect(sha256(bytes)).toBe(expected);
    const folder = mkdtempSync(join(tmpdir(), 'deepdefense-vectors-'));
    try {
      await writeFileAtomic(join(folder, 'vector'), bytes);
      expect(sha256(readFileSync(join(folder, 'vector')))).toBe(expected);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('vector arithmetic: the committed binary is what the source compiles to', async () => {
  const script = fileURLToPath(new URL('../../../scripts/build-wasm.mjs', import.meta.url));
  await promisify(execFile)(process.execPath, [script, '--check']);
});
