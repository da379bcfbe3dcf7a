/**
 * @file The fixed binary tree that sums shards. Float32 addition is not associative, so the order of additions is part of the
 * result; here it depends on the number of shards only, never on who computed what or which answer came first.
 *
 * Tree over shards [first, first + count): a leaf for count = 1, else the left child has the largest power of two strictly below
 * `count` shards and the right child the rest. sum(node) = sum(left) + sum(right), each addition rounded to float32; with bfloat16 (docs/adr/0007)
 * every node, leaves included, is rounded to bfloat16, so that a sum takes half the bytes wherever the tree is cut.
 */
import { DeepDefenseError, plainVectorMath, roundToBfloat16, type SumPrecision, type VectorMath } from '../core/index.ts';
import type { ShardBlock } from './messages.ts';

/** The two children of a node of at least two shards. */
export function treeChildren({ first, count }: Readonly<ShardBlock>): [ShardBlock, ShardBlock] {
  const left = 2 ** Math.floor(Math.log2(count - 1));
  return [
    { first, count: left },
    { first: first + left, count: count - left },
  ];
}

/**
 * The fewest nodes of the tree over `shards` shards that cover [first, first + count) exactly, in ascending order.
 * @throws DeepDefenseError INTERNAL when the range is empty or not within [0, shards).
 */
export function treeBlocks(first: number, count: number, shards: number): ShardBlock[] {
  if (count < 1 || first < 0 || first + count > shards) {
    throw new DeepDefenseError('INTERNAL', {
      what: 'bad range of shards',
      expected: `a part of [0, ${shards})`,
      got: `[${first}, ${first + count})`,
    });
  }
  const blocks: ShardBlock[] = [];
  const visit = (node: ShardBlock): void => {
    if (node.first >= first + count || node.first + node.count <= first) return;
    if (node.first >= first && node.first + node.count <= first + count) {
      blocks.push(node);
      return;
    }
    for (const child of treeChildren(node)) visit(child);
  };
  visit({ first: 0, count: shards });
  return blocks;
}

/** Sum over a node. */
export interface TreeSum {
  readonly gradients: Float32Array;
  /** Float64 sums, added in the order of the same tree. */
  readonly metricSums: Float64Array;
}

/** A node that has its sum, but for additions that are still to be done. */
interface Entry {
  readonly block: ShardBlock;
  readonly gradients: Float32Array;
  /** Vectors to be added to `gradients` one after the other; only the root waits with them, for the division. */
  readonly addends: readonly Float32Array[];
  readonly metricSums: Float64Array;
}

/**
 * Collects sums of nodes in any order and of any sizes and merges siblings as soon as both are there. The result is equal to the
 * bit for every decomposition and every order of arrival.
 *
 * A sum that arrives completes its parent, grandparent and so on as far up as the other sides are there. These additions are one
 * pass over memory: a sum of two is the same either way round, so the other sides are added to the new sum from the bottom up. The
 * pass that completes the root waits until the sum or the mean is asked for, and divides as well.
 */
export class TreeReducer {
  readonly #root: Readonly<ShardBlock>;
  readonly #length: number;
  readonly #metrics: number;
  readonly #math: VectorMath;
  readonly #precision: SumPrecision;
  readonly #recycle: (vector: Float32Array) => void;
  /** Disjoint nodes that have their sum and whose sibling hasn't, by key. */
  readonly #sums = new Map<string, Entry>();

  /**
   * @param options.root node to sum up; for a step { first: 0, count: shards }, for a worker the block of its task.
   * @param options.length elements of the gradient vector.
   * @param options.metrics number of metric sums.
   * @param options.math adds the vectors, which must be such as it works on; default plain loops, for any vector.
   * @param options.precision of the sums; leaves that are added must have it already, see {@link roundLeaf}. Default float32.
   * @param options.recycle receives gradient vectors that were added to another one, or replaced, and are free again.
   */
  constructor({
    root,
    length,
    metrics,
    math = plainVectorMath,
    precision = 'float32',
    recycle = () => {},
  }: {
    readonly root: Readonly<ShardBlock>;
    readonly length: number;
    readonly metrics: number;
    readonly math?: VectorMath;
    readonly precision?: SumPrecision;
    readonly recycle?: (vector: Float32Array) => void;
  }) {
    this.#root = { first: root.first, count: root.count };
    this.#length = length;
    this.#metrics = metrics;
    this.#math = math;
    this.#precision = precision;
    this.#recycle = recycle;
  }

  /** True when every shard of the root is in. */
  get complete(): boolean {
    return this.#sums.has(keyOf(this.#root));
  }

  /** True when every shard of the block is in. */
  covers(block: Readonly<ShardBlock>): boolean {
    for (const { block: have } of this.#sums.values()) if (contains(have, block)) return true;
    return false;
  }

  /** Largest nodes of which nothing is in, in ascending order; empty when complete. */
  missing(): ShardBlock[] {
    const blocks: ShardBlock[] = [];
    const visit = (node: Readonly<ShardBlock>): void => {
      if (this.covers(node)) return;
      if ([...this.#sums.values()].some(({ block }) => contains(node, block))) for (const child of treeChildren(node)) visit(child);
      else blocks.push({ first: node.first, count: node.count });
    };
    visit(this.#root);
    return blocks;
  }

  /**
   * Takes the sum over a node and takes over its arrays, which are added to in place: the caller must not use them again.
   * A node that contains parts which came before replaces them; that can't change the result.
   * @returns `duplicate` when every shard of the block was in already (nothing changes), else `accepted`.
   * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE when the block is no node of the tree or a vector has another length.
   */
  add(block: Readonly<ShardBlock>, gradients: Float32Array, metricSums: ArrayLike<number>): 'accepted' | 'duplicate' {
    this.#check(block, gradients, metricSums);
    if (this.covers(block)) return 'duplicate';
    for (const { block: have, gradients: replaced } of this.#sums.values()) {
      if (!contains(block, have)) continue;
      this.#sums.delete(keyOf(have));
      this.#recycle(replaced);
    }
    const sums = Float64Array.from(metricSums);
    const addends: Float32Array[] = [];
    let node: Readonly<ShardBlock> = { first: block.first, count: block.count };
    for (const { parent, sibling } of ancestors(this.#root, node)) {
      const other = this.#sums.get(keyOf(sibling));
      if (other === undefined) break;
      this.#sums.delete(keyOf(sibling));
      addends.push(other.gradients);
      for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (other.metricSums[i] as number);
      node = parent;
    }
    const entry = { block: node, gradients, addends, metricSums: sums };
    if (node.count === this.#root.count) this.#sums.set(keyOf(node), entry);
    else this.#finish(entry, 1);
    return 'accepted';
  }

  /**
   * The sum over the root.
   * @throws DeepDefenseError INTERNAL while shards are missing.
   */
  sum(): TreeSum {
    return this.#finish(this.#whole(), 1);
  }

  /**
   * Sum over the root divided by its number of shards, in place of the sum: call once.
   * @throws DeepDefenseError INTERNAL while shards are missing.
   */
  takeMean(): TreeSum {
    const shards = this.#root.count;
    const { gradients, metricSums } = this.#finish(this.#whole(), shards);
    for (let i = 0; i < metricSums.length; i++) metricSums[i] = (metricSums[i] as number) / shards;
    this.#sums.clear();
    return { gradients, metricSums };
  }

  /** The root's entry. */
  #whole(): Entry {
    const root = this.#sums.get(keyOf(this.#root));
    if (root !== undefined) return root;
    const blocks = this.missing().map(({ first, count }) => `[${first}, ${first + count})`);
    throw new DeepDefenseError('INTERNAL', {
      what: 'a sum was asked for before all shards were in',
      got: `missing shards ${blocks.join(', ')}`,
    });
  }

  /** Does the additions of an entry, divides the vector, and keeps the entry without them. */
  #finish({ block, gradients, addends, metricSums }: Entry, divisor: number): TreeSum {
    if (addends.length > 0 || divisor !== 1) this.#math.accumulate(gradients, addends, divisor, this.#precision);
    for (const addend of addends) this.#recycle(addend);
    this.#sums.set(keyOf(block), { block, gradients, addends: [], metricSums });
    return { gradients, metricSums };
  }

  #check(block: Readonly<ShardBlock>, gradients: Float32Array, metricSums: ArrayLike<number>): void {
    const fail = (expected: string, got: string): never => {
      throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
        what: `bad sum over shards [${block.first}, ${block.first + block.count})`,
        expected,
        got,
        todo: 'update the worker: both sides must run the same version',
        fields: { first: block.first, count: block.count },
      });
    };
    if (!isNode(block, this.#root))
      fail(`a node of the tree over [${this.#root.first}, ${this.#root.first + this.#root.count})`, 'no node');
    if (gradients.length !== this.#length) fail(`${this.#length} gradient values`, String(gradients.length));
    if (metricSums.length !== this.#metrics) fail(`${this.#metrics} metric sums`, String(metricSums.length));
  }
}

/** Gives the gradient of one shard, in place, the precision of the tree's sums. */
export function roundLeaf(gradients: Float32Array, precision: SumPrecision): void {
  if (precision === 'bfloat16') roundToBfloat16(gradients);
}

/**
 * Sum of the leaves in the order of the tree; the leaves stay as they are. For tests and for workers with all shards at hand.
 * @throws DeepDefenseError INTERNAL without leaves.
 */
export function sumTree(leaves: readonly Float32Array[], precision: SumPrecision = 'float32'): Float32Array {
  const [leaf] = leaves;
  if (leaf === undefined)
    throw new DeepDefenseError('INTERNAL', {
      what: 'a sum over no shards was asked for',
    });
  if (leaves.length === 1) {
    const copy = leaf.slice();
    roundLeaf(copy, precision);
    return copy;
  }
  const [left, right] = treeChildren({ first: 0, count: leaves.length });
  const sum = sumTree(leaves.slice(0, left.count), precision);
  plainVectorMath.accumulate(sum, [sumTree(leaves.slice(right.first), precision)], 1, precision);
  return sum;
}

/** The nodes above `block`, from the bottom up, each with its child that doesn't hold the block; `block` is a node of the tree. */
function ancestors(
  root: Readonly<ShardBlock>,
  block: Readonly<ShardBlock>,
): { readonly parent: ShardBlock; readonly sibling: ShardBlock }[] {
  const steps: { parent: ShardBlock; sibling: ShardBlock }[] = [];
  let parent = root;
  while (parent.count > block.count) {
    const [left, right] = treeChildren(parent);
    const [child, sibling] = contains(left, block) ? [left, right] : [right, left];
    steps.push({ parent, sibling });
    parent = child;
  }
  return steps.reverse();
}

function isNode(block: Readonly<ShardBlock>, root: Readonly<ShardBlock>): boolean {
  if (!Number.isInteger(block.first) || !Number.isInteger(block.count) || block.count < 1 || !contains(root, block)) return false;
  let node = root;
  while (node.first !== block.first || node.count !== block.count) {
    if (node.count === 1) return false;
    const child: ShardBlock | undefined = treeChildren(node).find((candidate) => contains(candidate, block));
    if (child === undefined) return false;
    node = child;
  }
  return true;
}

function contains(outer: Readonly<ShardBlock>, inner: Readonly<ShardBlock>): boolean {
  return inner.first >= outer.first && inner.first + inner.count <= outer.first + outer.count;
}

function keyOf({ first, count }: Readonly<ShardBlock>): string {
  return `${first}+${count}`;
}
