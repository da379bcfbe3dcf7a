/** @file A random forest for regression (Breiman 2001), judged on the rows that each tree has not seen. */
import { Random } from '../../core/index.ts';
import { growTree, predictTree, type TrainingTable, type Tree } from './regression-tree.ts';

export interface ForestOptions {
  readonly trees: number;
  /** Key of the random numbers; equal keys give equal forests. */
  readonly key: readonly number[];
  /** The rows to learn from; all where absent. */
  readonly rows?: readonly number[];
}

export interface Forest {
  readonly table: TrainingTable;
  readonly rows: readonly number[];
  readonly trees: readonly { readonly tree: Tree /** Rows that the tree has not seen. */; readonly unseen: readonly number[] }[];
}

/** Fewest rows of a leaf, and the share of features tried at a split: those of the fANOVA authors' own forest (Hutter et al. 2014, code). */
const LEAF_ROWS = 3;
const TRIED_SHARE = 5 / 6;

/** Grows trees on bootstrap samples of the rows. */
export function growForest(table: TrainingTable, { trees, key, rows = [...table.target.keys()] }: ForestOptions): Forest {
  const tried = Math.max(1, Math.ceil(TRIED_SHARE * table.features.length));
  return {
    table,
    rows,
    trees: Array.from({ length: trees }, (_, index) => {
      const random = new Random('sweep', ...key, index);
      const sample = rows.map(() => rows[random.integer(rows.length)] as number);
      const seen = new Set(sample);
      return { tree: growTree(table, sample, { tried, leafRows: LEAF_ROWS, random }), unseen: rows.filter((row) => !seen.has(row)) };
    }),
  };
}

/**
 * Share of the target's variance that the forest explains on unseen rows: 1 - sum of squared errors / sum of squares around the mean, each
 * row predicted by the trees that have not seen it. Zero or negative = no better than the mean.
 * @param columns in place of the table's, e.g. with one of them shuffled
 * @returns NaN when the target doesn't vary
 */
export function unseenR2({ table, rows, trees }: Forest, columns: readonly Float64Array[] = table.columns): number {
  const sums = new Float64Array(table.target.length);
  const counts = new Float64Array(table.target.length);
  for (const { tree, unseen } of trees)
    for (const row of unseen) {
      sums[row] = (sums[row] as number) + predictTree(tree, (feature) => columns[feature]?.[row] as number);
      counts[row] = (counts[row] as number) + 1;
    }
  const predicted = rows.filter((row) => (counts[row] as number) > 0);
  const mean = predicted.reduce((sum, row) => sum + (table.target[row] as number), 0) / predicted.length;
  let [error, spread] = [0, 0];
  for (const row of predicted) {
    const value = table.target[row] as number;
    error += (value - (sums[row] as number) / (counts[row] as number)) ** 2;
    spread += (value - mean) ** 2;
  }
  return spread === 0 ? Number.NaN : 1 - error / spread;
}

/**
 * What each feature is worth to the forest: the R^2 on unseen rows that is lost when the feature's values are shuffled among the rows
 * (permutation importance, Breiman 2001, of the forest as a whole), mean over `repeats` shuffles.
 */
export function permutationImportances(forest: Forest, repeats: number, key: readonly number[]): number[] {
  const { table, rows } = forest;
  const whole = unseenR2(forest);
  return table.columns.map((column, feature) => {
    let lost = 0;
    for (let repeat = 0; repeat < repeats; repeat++) {
      const order = new Random('sweep', ...key, feature, repeat).permutation(rows.length);
      const shuffled = column.slice();
      for (const [index, row] of rows.entries()) shuffled[row] = column[rows[order[index] as number] as number] as number;
      lost += whole - unseenR2(forest, table.columns.with(feature, shuffled));
    }
    return lost / repeats;
  });
}
