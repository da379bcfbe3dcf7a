/** @file How much of a tree's variance over the whole space one feature alone accounts for: functional ANOVA (Hutter, Hoos & Leyton-Brown 2014). */
import type { Tree } from './regression-tree.ts';

/**
 * How a feature is distributed over the space. Numbers are uniform on [0, 1], except that a share stands at {@link ATOM} (switched off);
 * categories have weights that sum to 1.
 */
export type Measure =
  | { readonly kind: 'numeric'; readonly atom: number }
  | { readonly kind: 'category'; readonly weights: readonly number[] };

/** The number of a feature that is switched off: outside [0, 1], so that a split can tell it from all others. */
export const ATOM = -1;

/** The part of a feature's values that reach a leaf: numbers in (low, high], or marked categories. */
type Range = { readonly low: number; readonly high: number } | { readonly marked: Uint8Array };

interface Cell {
  readonly value: number;
  readonly ranges: readonly Range[];
  /** Share of each feature's distribution in its range, and their product. */
  readonly shares: readonly number[];
  readonly weight: number;
}

/**
 * Main effects of a tree: for each feature the variance of the prediction averaged over all other features, as a share of the whole
 * variance (equations 5 to 9 of the paper, exact for a tree). What the shares lack to 1 are interactions. Features are taken as independent.
 * @returns undefined for a tree that predicts one value everywhere
 */
export function mainEffects(tree: Tree, measures: readonly Measure[]): readonly number[] | undefined {
  const everything = measures.map(
    (measure): Range =>
      measure.kind === 'numeric'
        ? { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY }
        : { marked: new Uint8Array(measure.weights.length).fill(1) },
  );
  const cells = cellsOf(tree, everything, measures).filter(({ weight }) => weight > 0);
  const mean = cells.reduce((sum, { value, weight }) => sum + value * weight, 0);
  const variance = cells.reduce((sum, { value, weight }) => sum + weight * (value - mean) ** 2, 0);
  if (!(variance > 1e-12 * mean ** 2) || variance === 0) return undefined;
  return measures.map((measure, feature) => varianceOfMarginal(cells, measure, feature, mean) / variance);
}

function cellsOf(tree: Tree, ranges: readonly Range[], measures: readonly Measure[]): Cell[] {
  if (tree.kind === 'leaf') {
    const shares = measures.map((measure, feature) => shareOf(measure, ranges[feature] as Range));
    return [{ value: tree.value, ranges, shares, weight: shares.reduce((product, share) => product * share, 1) }];
  }
  const [left, right] = halves(ranges[tree.feature] as Range, tree.rule);
  return [
    ...cellsOf(tree.left, ranges.with(tree.feature, left), measures),
    ...cellsOf(tree.right, ranges.with(tree.feature, right), measures),
  ];
}

function halves(range: Range, rule: Extract<Tree, { kind: 'split' }>['rule']): readonly [Range, Range] {
  if ('threshold' in rule) {
    const { low, high } = range as Extract<Range, { low: number }>;
    return [
      { low, high: Math.min(high, rule.threshold) },
      { low: Math.max(low, rule.threshold), high },
    ];
  }
  const { marked } = range as Extract<Range, { marked: Uint8Array }>;
  return [
    { marked: marked.map((own, i) => own & (rule.marked[i] as number)) },
    { marked: marked.map((own, i) => own & (1 - (rule.marked[i] as number))) },
  ];
}

function shareOf(measure: Measure, range: Range): number {
  if (measure.kind === 'category')
    return measure.weights.reduce((sum, weight, i) => sum + weight * ((range as { marked: Uint8Array }).marked[i] as number), 0);
  const { low, high } = range as Extract<Range, { low: number }>;
  const inside = Math.max(0, Math.min(high, 1) - Math.max(low, 0));
  return (low < ATOM && high >= ATOM ? measure.atom : 0) + (1 - measure.atom) * inside;
}

/** Variance of the prediction as a function of one feature, the others averaged out: it is constant between neighbouring split points. */
function varianceOfMarginal(cells: readonly Cell[], measure: Measure, feature: number, mean: number): number {
  const rangeOf = (cell: Cell): Range => cell.ranges[feature] as Range;
  const pieces =
    measure.kind === 'category'
      ? measure.weights.map((weight, i) => ({ weight, contains: (range: Range) => (range as { marked: Uint8Array }).marked[i] === 1 }))
      : numericPieces(cells.map(rangeOf) as Extract<Range, { low: number }>[], measure.atom);
  return pieces.reduce((sum, { weight, contains }) => {
    if (weight === 0) return sum;
    let average = 0;
    for (const cell of cells) if (contains(rangeOf(cell))) average += (cell.value * cell.weight) / (cell.shares[feature] as number);
    return sum + weight * (average - mean) ** 2;
  }, 0);
}

function numericPieces(
  ranges: readonly { readonly low: number; readonly high: number }[],
  atom: number,
): readonly { readonly weight: number; readonly contains: (range: Range) => boolean }[] {
  const inside = ranges.flatMap(({ low, high }) => [low, high]).filter((cut) => cut > 0 && cut < 1);
  const cuts = [...new Set([0, ...inside, 1])].sort((a, b) => a - b);
  const holds =
    (value: number) =>
    (range: Range): boolean => {
      const { low, high } = range as Extract<Range, { low: number }>;
      return low < value && value <= high;
    };
  return [
    { weight: atom, contains: holds(ATOM) },
    ...cuts.slice(1).map((end, index) => ({
      weight: (1 - atom) * (end - (cuts[index] as number)),
      contains: holds(((cuts[index] as number) + end) / 2),
    })),
  ];
}
