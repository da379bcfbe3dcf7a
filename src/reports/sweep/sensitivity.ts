/** @file Which parameters an objective depends on, as far as a forest fitted to the candidates can tell. */
import type { SweepRecord } from '../../sweeps/index.ts';
import { Random } from '../../core/index.ts';
import { mainEffects } from '../statistics/functional-anova.ts';
import { growForest, type Forest, permutationImportances, unseenR2 } from '../statistics/regression-forest.ts';
import type { Interval } from '../wilson.ts';
import { completeResults, widestRung } from './candidate-result.ts';
import { type ParameterColumn, parameterColumns } from './parameter-columns.ts';

/** A figure and the 95 % interval that other choices of candidates would give it. */
export interface Importance {
  readonly value: number;
  readonly interval: Interval;
}

export interface ParameterImportance {
  readonly parameter: string;
  /** R^2 on unseen candidates that is lost when the parameter's values are shuffled. */
  readonly permutation: Importance;
  /** Share of the forest's variance over the space that the parameter alone accounts for. */
  readonly mainEffect: Importance;
}

/** Importances for one objective, or why there are none. */
export interface Sensitivity {
  readonly objective: number;
  readonly rung: number;
  /** Complete candidates on the rung. */
  readonly candidates: number;
  /** Share of variance explained on candidates that a tree has not seen; undefined where no forest was grown. */
  readonly r2: number | undefined;
  /** By falling permutation importance; empty where {@link refusal} says why. */
  readonly importances: readonly ParameterImportance[];
  readonly refusal: string | undefined;
}

/** Fewest candidates that a forest is fitted to. */
export const FEWEST_CANDIDATES = 20;
const TREES = 128;
const SHUFFLES = 10;
/** Half-samples for the intervals, and the size of their forests. */
const HALVES = 40;
const HALF_TREES = 24;
const HALF_SHUFFLES = 3;
/** Keeps these random numbers apart from those of the samplers. */
const KEY = 0x5e45;

/**
 * Importances per objective on the rung with the most candidates ({@link widestRung}): candidates are compared at equal epochs and attacks,
 * and before a scheduler has selected. Intervals come from forests on halves of the candidates, drawn without replacement: figures of a
 * half scatter around those of all as these do around the truth (delete-d jackknife, Shao & Wu 1989, with d = n/2).
 */
export function sensitivities(record: SweepRecord): readonly Sensitivity[] {
  const rung = widestRung(record);
  if (rung === undefined) return [];
  const results = completeResults(record, rung);
  const columns = parameterColumns(
    record,
    results.map(({ candidate }) => candidate),
  );
  return record.objectives.map((_, objective): Sensitivity => {
    const known = { objective, rung, candidates: results.length };
    const refuse = (refusal: string, r2?: number): Sensitivity => ({ ...known, r2, importances: [], refusal });
    if (results.length < FEWEST_CANDIDATES)
      return refuse(`${results.length} complete candidates on rung ${rung}; below ${FEWEST_CANDIDATES} no importances are given.`);
    if (columns.length === 0) return refuse('All candidates have the same parameters.');
    const target = Float64Array.from(results, ({ estimates }) => estimates[objective]?.mean as number);
    const study = new Study(columns, target, [record.seed, KEY, objective]);
    if (Number.isNaN(study.r2)) return refuse('All candidates have the same value.');
    if (study.r2 <= 0)
      return refuse(
        `A forest fitted to ${results.length} candidates predicts unseen ones no better than their mean (R² = ${study.r2.toFixed(2)}): importances would mean nothing.`,
        study.r2,
      );
    return { ...known, r2: study.r2, importances: study.importances(), refusal: undefined };
  });
}

class Study {
  readonly #columns: readonly ParameterColumn[];
  readonly #key: readonly number[];
  readonly #forest: Forest;
  readonly r2: number;

  constructor(columns: readonly ParameterColumn[], target: Float64Array, key: readonly number[]) {
    this.#columns = columns;
    this.#key = key;
    const table = { features: columns.map(({ feature }) => feature), columns: columns.map(({ values }) => values), target };
    this.#forest = growForest(table, { trees: TREES, key: [...key, 0] });
    this.r2 = unseenR2(this.#forest);
  }

  importances(): readonly ParameterImportance[] {
    const whole = this.#figures(this.#forest, SHUFFLES, 0);
    const halves = Array.from({ length: HALVES }, (_, half) => {
      const count = this.#forest.rows.length;
      const rows = [...new Random('sweep', ...this.#key, 1, half).permutation(count).subarray(0, Math.ceil(count / 2))];
      const forest = growForest(this.#forest.table, { trees: HALF_TREES, key: [...this.#key, 2, half], rows });
      return this.#figures(forest, HALF_SHUFFLES, half + 1);
    });
    const figure = (name: keyof Figures, parameter: number, most: number): Importance => {
      const value = whole[name][parameter] as number;
      return {
        value,
        interval: around(
          value,
          halves.map((half) => half[name][parameter] as number),
          most,
        ),
      };
    };
    return this.#columns
      .map(({ name }, parameter) => ({
        parameter: name,
        permutation: figure('permutation', parameter, Number.POSITIVE_INFINITY),
        mainEffect: figure('mainEffect', parameter, 1),
      }))
      .sort((a, b) => b.permutation.value - a.permutation.value);
  }

  #figures(forest: Forest, shuffles: number, study: number): Figures {
    const measures = this.#columns.map(({ measure }) => measure);
    const effects = forest.trees.flatMap(({ tree }) => [mainEffects(tree, measures) ?? []]).filter(({ length }) => length > 0);
    return {
      permutation: permutationImportances(forest, shuffles, [...this.#key, 3, study]).map((value) => (Number.isNaN(value) ? 0 : value)),
      mainEffect: measures.map(
        (_, parameter) => effects.reduce((sum, each) => sum + (each[parameter] as number), 0) / Math.max(1, effects.length),
      ),
    };
  }
}

interface Figures {
  readonly permutation: readonly number[];
  readonly mainEffect: readonly number[];
}

/**
 * The spread of the halves' figures, placed around the figure of all candidates: halves know less, so their forests lose less to a shuffle,
 * and only their spread is used. No importance is truly below 0, though an estimate may be.
 */
function around(value: number, halves: readonly number[], most: number): Interval {
  const sorted = halves.toSorted((a, b) => a - b);
  const mean = halves.reduce((sum, half) => sum + half, 0) / halves.length;
  const quantile = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const [low, high] = [sorted[below] as number, sorted[Math.min(below + 1, sorted.length - 1)] as number];
    return low + (place - below) * (high - low);
  };
  const [low, high] = [value + quantile(0.025) - mean, value + quantile(0.975) - mean];
  return { low: Math.min(value, Math.max(0, low)), high: Math.max(value, Math.min(most, high)) };
}
