import { describe, expect, it } from 'vitest';
import { plainVectorMath, Random, roundToBfloat16, type SumPrecision, type VectorMath, WasmVectorMath } from '../../../src/core/index.ts';
import { roundLeaf, type ShardBlock, sumTree, TreeReducer, treeBlocks, treeChildren } from '../../../src/wire/index.ts';

const LENGTH = 37;

/** Leaves whose sums depend on the order of additions: magnitudes over 20 powers of two. */
function randomLeaves(random: Random, shards: number): Float32Array[] {
  return Array.from({ length: shards }, () =>
    Float32Array.from({ length: LENGTH }, () => random.normal() * 2 ** (random.integer(20) - 10)),
  );
}

/** Metric sums that also depend on the order. */
function metricsOf(leaf: Float32Array): Float64Array {
  return Float64Array.from([leaf[0] as number, (leaf[1] as number) / 3]);
}

/** A reducer of a block, filled leaf by leaf, as a worker does it. */
function blockSum(block: ShardBlock, leaves: readonly Float32Array[], precision: SumPrecision = 'float32') {
  const reducer = new TreeReducer({ root: block, length: LENGTH, metrics: 2, precision });
  for (let i = block.first; i < block.first + block.count; i++) {
    const leaf = (leaves[i] as Float32Array).slice();
    roundLeaf(leaf, precision);
    reducer.add({ first: i, count: 1 }, leaf, metricsOf(leaves[i] as Float32Array));
  }
  return reducer.sum();
}

/** Random nodes that cover the shards: workers get contiguous ranges of random lengths. */
function randomDecomposition(random: Random, shards: number): ShardBlock[] {
  const blocks: ShardBlock[] = [];
  for (let first = 0; first < shards; ) {
    const count = 1 + random.integer(shards - first);
    blocks.push(...treeBlocks(first, count, shards));
    first += count;
  }
  return blocks;
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return [...random.permutation(items.length)].map((i) => items[i] as T);
}

const bytes = (values: Float32Array | Float64Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex');

describe('reduction tree', () => {
  it('children: splits at the largest power of two strictly below the count', () => {
    const counts = [2, 3, 4, 5, 6, 7, 8, 9, 12].map((count) => treeChildren({ first: 10, count }).map((child) => child.count));
    expect(counts).toEqual([
      [1, 1],
      [2, 1],
      [2, 2],
      [4, 1],
      [4, 2],
      [4, 3],
      [4, 4],
      [8, 1],
      [8, 4],
    ]);
    expect(treeChildren({ first: 10, count: 6 })).toEqual([
      { first: 10, count: 4 },
      { first: 14, count: 2 },
    ]);
  });

  it('blocks: finds the fewest nodes of a range', () => {
    expect(treeBlocks(0, 8, 8)).toEqual([{ first: 0, count: 8 }]);
    expect(treeBlocks(1, 6, 8)).toEqual([
      { first: 1, count: 1 },
      { first: 2, count: 2 },
      { first: 4, count: 2 },
      { first: 6, count: 1 },
    ]);
    expect(treeBlocks(3, 3, 6)).toEqual([
      { first: 3, count: 1 },
      { first: 4, count: 2 },
    ]);
  });

  it('blocks: refuses a range outside the shards', () => {
    for (const [first, count] of [
      [0, 0],
      [-1, 2],
      [6, 3],
    ] as const) {
      expect(() => treeBlocks(first, count, 8)).toThrow(/bad range/);
    }
  });

  it('sum: follows the tree, pinned for three leaves whose order matters', () => {
    // float32: (1e8 + -1e8) + 1 = 1, while 1e8 + (-1e8 + 1) = 0.
    expect([...sumTree([Float32Array.of(1e8), Float32Array.of(-1e8), Float32Array.of(1)])]).toEqual([1]);
    expect([...sumTree([Float32Array.of(1), Float32Array.of(1e8), Float32Array.of(-1e8)])]).toEqual([0]);
  });

  it('sum: leaves its leaves as they are', () => {
    const leaves = [Float32Array.of(1), Float32Array.of(2)];
    expect([...sumTree(leaves)]).toEqual([3]);
    expect(leaves.map(([value]) => value)).toEqual([1, 2]);
  });

  it('reducer: gives equal bits for every decomposition and order of arrival, 600 random cases', () => {
    const random = new Random('order', 20251122);
    let orderMattered = 0;
    for (let round = 0; round < 600; round++) {
      const shards = 1 + random.integer(17);
      const leaves = randomLeaves(random, shards);
      const expected = sumTree(leaves);
      const reducer = new TreeReducer({ root: { first: 0, count: shards }, length: LENGTH, metrics: 2 });
      for (const block of shuffled(random, randomDecomposition(random, shards))) {
        const sum = blockSum(block, leaves);
        expect(reducer.complete).toBe(false);
        expect(reducer.add(block, sum.gradients, sum.metricSums)).toBe('accepted');
      }
      expect(reducer.complete).toBe(true);
      expect(bytes(reducer.sum().gradients)).toBe(bytes(expected));
      expect(bytes(reducer.sum().metricSums)).toBe(bytes(blockSum({ first: 0, count: shards }, leaves).metricSums));
      const inSequence = leaves
        .slice(1)
        .reduce((sum, leaf) => sum.map((value, i) => value + (leaf[i] as number)), leaves[0] as Float32Array);
      if (bytes(inSequence) !== bytes(expected)) orderMattered += 1;
    }
    // The values do separate a fixed tree from another order.
    expect(orderMattered).toBeGreaterThan(300);
  });

  it('reducer: keeps its bits when shards come twice, in smaller or larger blocks', () => {
    const random = new Random('order', 7);
    for (let round = 0; round < 200; round++) {
      const shards = 2 + random.integer(12);
      const leaves = randomLeaves(random, shards);
      const reducer = new TreeReducer({ root: { first: 0, count: shards }, length: LENGTH, metrics: 2 });
      const blocks = shuffled(random, [...randomDecomposition(random, shards), ...randomDecomposition(random, shards)]);
      for (const block of blocks) {
        const sum = blockSum(block, leaves);
        const covered = reducer.covers(block);
        expect(reducer.add(block, sum.gradients, sum.metricSums)).toBe(covered ? 'duplicate' : 'accepted');
      }
      expect(bytes(reducer.sum().gradients)).toBe(bytes(sumTree(leaves)));
    }
  });

  it('reducer: names missing shards as the largest nodes', () => {
    const reducer = new TreeReducer({ root: { first: 0, count: 8 }, length: 1, metrics: 0 });
    expect(reducer.missing()).toEqual([{ first: 0, count: 8 }]);
    reducer.add({ first: 2, count: 1 }, Float32Array.of(1), []);
    expect(reducer.missing()).toEqual([
      { first: 0, count: 2 },
      { first: 3, count: 1 },
      { first: 4, count: 4 },
    ]);
    expect(() => reducer.sum()).toThrow(/missing shards \[0, 2\), \[3, 4\), \[4, 8\)/);
  });

  it('reducer: gives the mean over shards', () => {
    const reducer = new TreeReducer({ root: { first: 0, count: 3 }, length: 2, metrics: 1 });
    reducer.add({ first: 2, count: 1 }, Float32Array.of(4, -1), [2.5]);
    reducer.add({ first: 0, count: 2 }, Float32Array.of(3, 7), [5]);
    const { gradients, metricSums } = reducer.takeMean();
    expect([...gradients]).toEqual([Math.fround(7 / 3), 2]);
    expect([...metricSums]).toEqual([2.5]);
  });

  it('reducer: refuses what is no node or of another length', () => {
    const reducer = new TreeReducer({ root: { first: 0, count: 8 }, length: 2, metrics: 1 });
    const good = Float32Array.of(1, 2);
    const bad: [ShardBlock, Float32Array, number[]][] = [
      [{ first: 1, count: 2 }, good, [0]],
      [{ first: 0, count: 3 }, good, [0]],
      [{ first: 8, count: 1 }, good, [0]],
      [{ first: 0, count: 0 }, good, [0]],
      [{ first: 0.5, count: 1 }, good, [0]],
      [{ first: 0, count: 4 }, Float32Array.of(1), [0]],
      [{ first: 0, count: 4 }, good, []],
    ];
    for (const [block, gradients, metrics] of bad) {
      expect(() => reducer.add(block, gradients, metrics)).toThrow(expect.objectContaining({ code: 'PROTOCOL_BAD_MESSAGE' }));
    }
    expect(reducer.missing()).toEqual([{ first: 0, count: 8 }]);
  });

  it('reducer: sums in bfloat16 are bfloat16 values and the same bits for every decomposition and both arithmetics', () => {
    const random = new Random('order', 9);
    const wasm = new WasmVectorMath();
    let differing = 0;
    for (let round = 0; round < 200; round++) {
      const shards = 1 + random.integer(17);
      const root = { first: 0, count: shards };
      const leaves = randomLeaves(random, shards);
      const expected = sumTree(leaves, 'bfloat16');
      const rounded = expected.slice();
      roundToBfloat16(rounded);
      expect(bytes(rounded)).toBe(bytes(expected));
      if (bytes(expected) !== bytes(sumTree(leaves))) differing += 1;
      for (const math of [plainVectorMath, wasm]) {
        const reducer = new TreeReducer({ root, length: LENGTH, metrics: 2, math, precision: 'bfloat16' });
        for (const block of shuffled(random, randomDecomposition(random, shards))) {
          const { gradients, metricSums } = blockSum(block, leaves, 'bfloat16');
          const vector = math.allocate(LENGTH);
          vector.set(gradients);
          reducer.add(block, vector, metricSums);
        }
        // The mean itself is no sum of the tree and stays float32.
        expect(bytes(reducer.takeMean().gradients)).toBe(bytes(expected.map((value) => value / shards)));
      }
    }
    expect(differing).toBe(200);
  });

  it('reducer: gives the same bits and hands back every other vector with the WebAssembly arithmetic', () => {
    const random = new Random('order', 8);
    const math = new WasmVectorMath();
    for (let round = 0; round < 200; round++) {
      const shards = 1 + random.integer(17);
      const leaves = randomLeaves(random, shards);
      const plain = new TreeReducer({ root: { first: 0, count: shards }, length: LENGTH, metrics: 2 });
      const free = new Set<Float32Array>();
      const recycle = (vector: Float32Array) => void free.add(vector);
      const reducer = new TreeReducer({ root: { first: 0, count: shards }, length: LENGTH, metrics: 2, math, recycle });
      let taken = 0;
      // Shards come twice, so nodes also replace their parts.
      for (const block of shuffled(random, [...randomDecomposition(random, shards), ...randomDecomposition(random, shards)])) {
        const { gradients, metricSums } = blockSum(block, leaves);
        plain.add(block, gradients, metricSums);
        const vector = math.allocate(LENGTH);
        vector.set(blockSum(block, leaves).gradients);
        if (reducer.add(block, vector, metricSums) === 'accepted') taken += 1;
      }
      const mean = reducer.takeMean();
      const expected = plain.takeMean();
      expect(bytes(mean.gradients)).toBe(bytes(expected.gradients));
      expect(bytes(mean.metricSums)).toBe(bytes(expected.metricSums));
      expect(bytes(mean.gradients)).toBe(bytes(sumTree(leaves).map((value) => value / shards)));
      expect(free.size).toBe(taken - 1);
      expect(free.has(mean.gradients)).toBe(false);
    }
  });

  it('reducer: adds what completes several nodes in one pass', () => {
    const passes: number[][] = [];
    const counting: VectorMath = {
      ...plainVectorMath,
      accumulate: (target, addends, divisor) => {
        passes.push([addends.length, divisor]);
        plainVectorMath.accumulate(target, addends, divisor);
      },
    };
    const reducer = new TreeReducer({ root: { first: 0, count: 8 }, length: 3, metrics: 0, math: counting });
    for (const first of [0, 1, 2, 3, 4, 5, 7, 6]) reducer.add({ first, count: 1 }, new Float32Array(3).fill(first), []);
    // Nothing for the first leaf of a pair; the last one completes 6-7, 4-7 and the root, whose pass waits.
    expect(passes).toEqual([
      [1, 1],
      [2, 1],
      [1, 1],
    ]);
    expect([...reducer.takeMean().gradients]).toEqual([3.5, 3.5, 3.5]);
    expect(passes.at(-1)).toEqual([3, 8]);
  });
});
