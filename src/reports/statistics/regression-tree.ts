/** @file A regression tree (CART, Breiman et al. 1984), over numbers and unordered categories. */
import type { Random } from '../../core/index.ts';

export type Feature = { readonly kind: 'numeric' } | { readonly kind: 'category' /** Categories are 0..size-1. */; readonly size: number };

/** What a tree learns from: one column per feature, one row per observation. */
export interface TrainingTable {
  readonly features: readonly Feature[];
  readonly columns: readonly Float64Array[];
  readonly target: Float64Array;
}

export interface Leaf {
  readonly kind: 'leaf';
  readonly value: number;
}

/** Rows go left where the number is at most the threshold, or where the category is marked. */
export interface Split {
  readonly kind: 'split';
  readonly feature: number;
  readonly rule: { readonly threshold: number } | { readonly marked: Uint8Array };
  readonly left: Tree;
  readonly right: Tree;
}

export type Tree = Leaf | Split;

export interface TreeOptions {
  /** Features tried at each split, drawn anew. */
  readonly tried: number;
  /** Fewest rows of a leaf. */
  readonly leafRows: number;
  readonly random: Random;
}

/** Splits until leaves are small or pure; `rows` may name a row more than once. */
export function growTree(table: TrainingTable, rows: readonly number[], options: TreeOptions): Tree {
  const value = meanTarget(table, rows);
  const best = rows.length < 2 * options.leafRows ? undefined : bestSplit(table, rows, options);
  if (best === undefined) return { kind: 'leaf', value };
  const { feature, rule } = best;
  const goesLeft = (row: number): boolean => isLeft(rule, table.columns[feature]?.[row] as number);
  const left = growTree(
    table,
    rows.filter((row) => goesLeft(row)),
    options,
  );
  const right = growTree(
    table,
    rows.filter((row) => !goesLeft(row)),
    options,
  );
  return { kind: 'split', feature, rule, left, right };
}

/** @param valueOf the row's value of a feature */
export function predictTree(tree: Tree, valueOf: (feature: number) => number): number {
  let node = tree;
  while (node.kind === 'split') node = isLeft(node.rule, valueOf(node.feature)) ? node.left : node.right;
  return node.value;
}

function isLeft(rule: Split['rule'], value: number): boolean {
  return 'threshold' in rule ? value <= rule.threshold : rule.marked[value] === 1;
}

function meanTarget({ target }: TrainingTable, rows: readonly number[]): number {
  return rows.reduce((sum, row) => sum + (target[row] as number), 0) / rows.length;
}

interface Found {
  readonly feature: number;
  readonly rule: Split['rule'];
  /** Sum over both sides of (sum of targets)^2 / rows: the larger, the smaller the squared error left. */
  readonly gain: number;
}

/** The best split over the features drawn; undefined where none lowers the squared error. */
function bestSplit(table: TrainingTable, rows: readonly number[], { tried, leafRows, random }: TreeOptions): Found | undefined {
  const total = rows.reduce((sum, row) => sum + (table.target[row] as number), 0);
  const squares = rows.reduce((sum, row) => sum + (table.target[row] as number) ** 2, 0);
  // Rounding must not pass for a gain.
  const bar = total ** 2 / rows.length + 1e-12 * squares;
  let best: Found | undefined;
  for (const feature of random.permutation(table.features.length).subarray(0, tried)) {
    const found =
      table.features[feature]?.kind === 'category'
        ? splitCategories(table, feature, rows, leafRows)
        : splitNumber(table, feature, rows, leafRows);
    if (found !== undefined && found.gain > (best?.gain ?? bar)) best = found;
  }
  return best;
}

function splitNumber({ columns, target }: TrainingTable, feature: number, rows: readonly number[], leafRows: number): Found | undefined {
  const column = columns[feature] as Float64Array;
  const sorted = rows.toSorted((a, b) => (column[a] as number) - (column[b] as number));
  const steps = sorted.map((row) => ({ key: column[row] as number, sum: target[row] as number, count: 1 }));
  const cut = bestCut(steps, leafRows, (a, b) => a.key < b.key);
  if (cut === undefined) return undefined;
  return { feature, gain: cut.gain, rule: { threshold: ((steps[cut.last]?.key as number) + (steps[cut.last + 1]?.key as number)) / 2 } };
}

/** Sorted by their mean, categories are best split at one place (Fisher 1958), so that not all subsets need be tried. */
function splitCategories(
  { columns, target, features }: TrainingTable,
  feature: number,
  rows: readonly number[],
  leafRows: number,
): Found | undefined {
  const column = columns[feature] as Float64Array;
  const own = features[feature] as Extract<Feature, { kind: 'category' }>;
  const groups = Array.from({ length: own.size }, (_, key) => ({ key, sum: 0, count: 0 }));
  for (const row of rows) {
    const group = groups[column[row] as number] as (typeof groups)[number];
    group.sum += target[row] as number;
    group.count++;
  }
  const present = groups.filter(({ count }) => count > 0).sort((a, b) => a.sum / a.count - b.sum / b.count);
  const cut = bestCut(present, leafRows, () => true);
  if (cut === undefined) return undefined;
  const marked = new Uint8Array(own.size);
  for (const { key } of present.slice(0, cut.last + 1)) marked[key] = 1;
  // Categories that no row here has go with the larger side.
  if (2 * cut.count > rows.length) for (const { key, count } of groups) if (count === 0) marked[key] = 1;
  return { feature, gain: cut.gain, rule: { marked } };
}

interface Step {
  readonly key: number;
  readonly sum: number;
  readonly count: number;
}

/** Where to cut a sorted list: after `last`, with `count` rows before. */
function bestCut(
  steps: readonly Step[],
  leafRows: number,
  mayCut: (before: Step, behind: Step) => boolean,
): { readonly last: number; readonly gain: number; readonly count: number } | undefined {
  const total = steps.reduce((sum, step) => sum + step.sum, 0);
  const all = steps.reduce((sum, step) => sum + step.count, 0);
  let best: { readonly last: number; readonly gain: number; readonly count: number } | undefined;
  let [sum, count] = [0, 0];
  for (let last = 0; last < steps.length - 1; last++) {
    const [step, next] = [steps[last] as Step, steps[last + 1] as Step];
    sum += step.sum;
    count += step.count;
    if (count < leafRows || all - count < leafRows || !mayCut(step, next)) continue;
    const gain = sum ** 2 / count + (total - sum) ** 2 / (all - count);
    if (best === undefined || gain > best.gain) best = { last, gain, count };
  }
  return best;
}
