/**
 * @file What a sweep's trials are: the training config of each, its id, what is measured on which rung, and what that is expected to cost.
 */
import { createHash } from 'node:crypto';
import {
  applyAssignments,
  attackPasses,
  type Config,
  type EvaluationName,
  formatEps,
  FREE_KEYS,
  parseAttackSpec,
  resolveConfig,
  type SweepSource,
} from '../config/index.ts';
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import { checkForks } from './forks.ts';
import type { Chosen, Part } from './planner.ts';
import { invalid, type SearchSpace } from './space.ts';
import type { ObjectiveRecord, SweepRecord } from './sweep-record.ts';
import { trainingPasses } from './training-passes.ts';

/** What one measurement is asked for. */
export interface Measuring {
  /** Epochs of the whole schedule that are trained when it is made. */
  readonly epochs: number;
  readonly attacks: readonly Exclude<EvaluationName, 'clean'>[];
  readonly robustSamples: number;
}

/** One part of a trial as a worker gets it; plain data. */
export type PartWork =
  | {
      readonly kind: 'training';
      readonly trial: string;
      readonly rung: number;
      /** The resolved training config, of the whole trial. */
      readonly config: Config;
      readonly measuring: Measuring;
      /** Where its first weights come from; undefined = from the seed. */
      readonly origin?: TrialOrigin | undefined;
      /** The weights of each rung are kept, because forks may begin with them. */
      readonly forkable: boolean;
    }
  | {
      readonly kind: 'function';
      readonly trial: string;
      readonly rung: number;
      readonly name: NonNullable<SweepSource['sweep']['function']>;
      /** Parameters in [0, 1]. */
      readonly x: readonly number[];
      readonly seconds: number;
    };

/** A trial that another one goes on from, and where that has come from in its turn. */
export interface TrialOrigin {
  readonly trial: string;
  readonly rung: number;
  /** Epochs that it has trained on this rung. */
  readonly epochs: number;
  readonly config: Config;
  readonly origin?: TrialOrigin | undefined;
}

/** What a worker has measured. */
export interface Measured {
  /** Figures by name: `clean`, `ATTACK@EPS`, `worst-case@EPS`; of a test function `value`, `value2`. */
  readonly details: Readonly<Record<string, number>>;
}

interface Objective {
  readonly record: ObjectiveRecord;
  /** +1 where it is to be minimised, -1 where it is to be maximised. */
  readonly sign: 1 | -1;
  readonly value: (details: Readonly<Record<string, number>>, chosen: Chosen, rung: number) => number | undefined;
}

const WORST_CASE = 'worst-case';
/** Samples of an epoch of CIFAR-10, where the config doesn't limit them; planned times need no more precision. */
const EPOCH_SAMPLES = 50_000;
const TEST_SAMPLES = 10_000;
const MILLION = 1e6;
/** Keys that the cost of a trial doesn't depend on. */
const CHEAP = ['strategy.gfa.', 'optimizer.', 'schedule.', 'objective.'];

/** See the file's header. */
export class Trials {
  readonly rungs: readonly Measuring[];
  readonly #source: SweepSource;
  readonly #space: SearchSpace;
  readonly #objectives: readonly Objective[];
  /** Configs by what the cost depends on: resolving one takes longer than all else that is asked of a trial. */
  readonly #byCost = new Map<string, Config>();

  /** @throws DeepDefenseError CONFIG_INVALID where objectives, rungs and config contradict each other */
  constructor(source: SweepSource, space: SearchSpace) {
    this.#source = source;
    this.#space = space;
    const { sweep, base } = source;
    this.rungs = rungsOf(source);
    if (sweep.function !== undefined) checkFunctionSpace(space);
    if (sweep.scheduler.name === 'pbt')
      checkForks(
        source,
        this.rungs.map(({ epochs }) => epochs),
      );
    const config = sweep.function === undefined ? resolveConfig(base) : undefined;
    if (config !== undefined && sweep.gang > config.train.shards)
      throw invalid(
        'gang',
        'gang has more workers than a step has shards',
        `at most train.shards = ${config.train.shards}`,
        String(sweep.gang),
        'lower gang, or raise train.shards in the training config',
      );
    this.#objectives = sweep.objectives.map((wish, index) => this.#objective(wish, index, config));
  }

  /** The objectives, for the record. */
  get objectives(): readonly ObjectiveRecord[] {
    return this.#objectives.map(({ record }) => record);
  }

  /** What the trials train, for the record. */
  get subject(): string {
    const { sweep, base } = this.#source;
    if (sweep.function !== undefined) return `test function ${sweep.function}`;
    const { model, strategy } = resolveConfig(base);
    return `${model.name}, strategy ${strategy.name}`;
  }

  /** Rungs for the record. */
  get rungRecords(): SweepRecord['rungs'] {
    return this.rungs.map(({ epochs, attacks, robustSamples }) => ({ epochs, attacks, robustSamples }));
  }

  /**
   * Ids of a candidate's trials, one per seed: SHA-256 of what its training depends on, the seed and the trial that it goes on from
   * included, and of how it is measured.
   * @returns `refused` where the assignments make no valid config.
   * @throws DeepDefenseError CONFIG_UNKNOWN_KEY where a parameter is no key of the config
   */
  trialsOf(
    assignments: readonly { readonly path: string; readonly value: unknown }[],
    origin?: { readonly trials: readonly string[]; readonly rung: number },
  ): readonly string[] | { readonly refused: string } {
    const { sweep } = this.#source;
    try {
      return sweep.seeds.map((seed, seedIndex) => {
        const before = origin === undefined ? [] : [{ trial: origin.trials[seedIndex], rung: origin.rung }];
        const what = sweep.function === undefined ? this.#determining(assignments, seed) : [sweep.function, assignments, seed];
        return createHash('sha256')
          .update(canonicalJson([what, this.rungs, ...before]))
          .digest('hex');
      });
    } catch (error) {
      // A key that doesn't exist is a mistake in the sweep file, not a point to pass over.
      if (!isDeepDefenseError(error) || error.code === 'CONFIG_UNKNOWN_KEY') throw error;
      return { refused: error.message };
    }
  }

  /**
   * What a worker is to do for a part.
   * @param byNumber the candidates, for those that others go on from
   */
  workOf({ seedIndex, rung }: Part, chosen: Chosen, byNumber: (candidate: number) => Chosen): PartWork {
    const { sweep } = this.#source;
    const trial = chosen.trials[seedIndex] as string;
    if (sweep.function !== undefined) {
      const x = this.#assignmentsOf(chosen).map(({ value }) => Number(value));
      return { kind: 'function', trial, rung, name: sweep.function, x, seconds: sweep.functionSeconds };
    }
    const configOf = (each: Chosen) => this.#config(this.#assignmentsOf(each), sweep.seeds[seedIndex] as number);
    const originOf = ({ parent }: Chosen): TrialOrigin | undefined => {
      if (parent === undefined) return undefined;
      const before = byNumber(parent.candidate);
      const { epochs } = this.rungs[parent.rung] as Measuring;
      return { trial: before.trials[seedIndex] as string, rung: parent.rung, epochs, config: configOf(before), origin: originOf(before) };
    };
    const [config, measuring] = [configOf(chosen), this.rungs[rung] as Measuring];
    return { kind: 'training', trial, rung, config, measuring, origin: originOf(chosen), forkable: sweep.scheduler.name === 'pbt' };
  }

  #assignmentsOf({ candidate, point }: Chosen) {
    const decoded = this.#space.decode(point);
    if ('refused' in decoded)
      throw new DeepDefenseError('INTERNAL', { what: `candidate ${candidate} is outside its space: ${decoded.refused}` });
    return decoded.assignments;
  }

  /**
   * Values of the objectives in their own sense, from what a worker measured.
   * @returns undefined where an objective was not measured; the first name that is missing is in `missing`.
   */
  valuesOf(
    details: Readonly<Record<string, number>>,
    chosen: Chosen,
    rung: number,
  ): { readonly values: readonly number[] } | { readonly missing: string } {
    const values: number[] = [];
    for (const { record, value } of this.#objectives) {
      const found = value(details, chosen, rung);
      if (found === undefined || !Number.isFinite(found)) return { missing: record.name };
      values.push(found);
    }
    return { values };
  }

  /** The same to be minimised. */
  lossesOf(values: readonly number[]): readonly number[] {
    return values.map((value, i) => value * (this.#objectives[i] as Objective).sign);
  }

  /** Signs of masked gradients: a stronger attack that leaves more images right than a weaker one. */
  flagsOf(details: Readonly<Record<string, number>>, rung: number): readonly string[] {
    const { robustSamples } = this.rungs[rung] as Measuring;
    // Two standard errors of a share, so that chance alone seldom raises a flag.
    const slack = 2 * Math.sqrt(0.25 / robustSamples);
    return Object.entries(details).flatMap(([name, accuracy]) => {
      const [attack, eps] = name.split('@');
      const single = details[`fgsm@${eps}`];
      if (single === undefined || attack === undefined || !ITERATED.includes(attack) || accuracy <= single + slack) return [];
      return [`${attack} leaves ${percent(accuracy)} right at ${eps}, the single step of fgsm only ${percent(single)}`];
    });
  }

  /** What a part is expected to take, in million passes of one image: training since the last measurement, and the measurement. */
  plannedTime({ rung, fromRung }: Part, chosen: Chosen): number {
    const { sweep } = this.#source;
    if (sweep.function !== undefined) return 1;
    const config = this.#configOf(chosen);
    const { epochs, attacks, robustSamples } = this.rungs[rung] as Measuring;
    const before = this.rungs[fromRung]?.epochs ?? 0;
    const samples = config.data.trainSamples ?? EPOCH_SAMPLES;
    const training = (epochs - before) * samples * trainingPasses(config);
    const tested = (config.data.testSamples ?? TEST_SAMPLES) / 3;
    const attacked =
      attacks.reduce((sum, attack) => sum + attackPasses(parseAttackSpec(attack)), 0) * robustSamples * config.evaluation.epsLinf.length;
    return (training + tested + attacked) / MILLION;
  }

  /** The config of a candidate, as far as its cost depends on it. */
  #configOf({ point }: Chosen): Config {
    const decoded = this.#space.decode(point);
    const costly = ('refused' in decoded ? [] : decoded.assignments).filter(
      ({ path }) => !CHEAP.some((section) => path.startsWith(section)),
    );
    const key = JSON.stringify(costly);
    const config = this.#byCost.get(key) ?? this.#config(costly, 0);
    this.#byCost.set(key, config);
    return config;
  }

  #config(assignments: readonly { readonly path: string; readonly value: unknown }[], seed: number): Config {
    const { base } = this.#source;
    const last = this.rungs.at(-1) as Measuring;
    const input = applyAssignments(base, [
      { path: ['train', 'epochs'], value: last.epochs },
      ...assignments.map(({ path, value }) => ({ path: path.split('.'), value })),
      { path: ['seed'], value: seed },
    ]);
    return resolveConfig(input, 'trial');
  }

  /** The config without what no result depends on, but with the radii of the attacks. */
  #determining(assignments: readonly { readonly path: string; readonly value: unknown }[], seed: number): unknown {
    const config = this.#config(assignments, seed);
    const unset = FREE_KEYS.map((key) => ({ path: key.split('.'), value: null }));
    return [applyAssignments(config, unset), config.evaluation.epsLinf];
  }

  #objective({ name, goal, epsLinf }: SweepSource['sweep']['objectives'][number], index: number, config: Config | undefined): Objective {
    const path = `objectives.${index}`;
    const fits = config === undefined ? name.startsWith('value') : !name.startsWith('value');
    if (!fits) {
      const possible = config === undefined ? 'value or value2' : 'clean-accuracy, robust-accuracy or training-cost';
      throw invalid(`${path}.name`, `${path}: no trial of this sweep reports "${name}"`, possible, `"${name}"`, 'name another objective');
    }
    const isAccuracy = name === 'clean-accuracy' || name === 'robust-accuracy';
    const finalGoal = goal ?? (isAccuracy ? 'maximize' : 'minimize');
    const sign = finalGoal === 'minimize' ? 1 : -1;
    const entry = (label: string, unit: string, value: Objective['value']): Objective => ({
      record: { name: label, goal: finalGoal, unit },
      sign,
      value,
    });
    switch (name) {
      case 'clean-accuracy':
        return entry(name, 'share', (details) => details['clean']);
      case 'training-cost':
        return entry(name, 'million passes', (_, chosen, rung) => this.#trainingCost(chosen, rung));
      case 'robust-accuracy': {
        const eps = this.#radius(path, epsLinf, config as Config);
        return entry(`${name} at ${formatEps(eps)}`, 'share', (details) => details[detailName(WORST_CASE, eps)]);
      }
      case 'value':
      case 'value2':
        return entry(name, '', (details) => details[name]);
      default:
        return name satisfies never;
    }
  }

  #radius(path: string, wish: number | undefined, { evaluation }: Config): number {
    const radii = evaluation.epsLinf;
    const eps = wish === undefined ? Math.max(...radii) : radii.find((radius) => Math.abs(radius - wish) < 1e-9);
    const measured = this.rungs.every(({ attacks }) => attacks.length > 0);
    if (eps === undefined || !measured) {
      throw invalid(
        `${path}.epsLinf`,
        measured
          ? `${path}: no trial is attacked at this radius`
          : `${path}: a rung has no attacks, so nothing reports robust-accuracy there`,
        measured
          ? `one of evaluation.epsLinf: ${radii.map(formatEps).join(', ')}`
          : 'attacks on every rung, or evaluation.attacks in the training config',
        measured ? formatEps(wish as number) : this.rungs.map(({ attacks }) => `[${attacks.join(', ')}]`).join(', '),
        measured ? 'add the radius to evaluation.epsLinf, or name another' : 'name attacks, for example [fgsm, pgd]',
      );
    }
    return eps;
  }

  #trainingCost(chosen: Chosen, rung: number): number {
    const config = this.#configOf(chosen);
    const { epochs } = this.rungs[rung] as Measuring;
    return (epochs * (config.data.trainSamples ?? EPOCH_SAMPLES) * trainingPasses(config)) / MILLION;
  }
}

/** Attacks of several steps with the gradient: none should be weaker than its single step. */
const ITERATED: readonly string[] = ['bim', 'pgd', 'apgd', 'apgd-t'];

/** Name of an accuracy among the details of a measurement. */
export function detailName(attack: string, epsLinf: number): string {
  return `${attack}@${formatEps(epsLinf)}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function rungsOf({ sweep, base }: SweepSource): readonly Measuring[] {
  if (sweep.function !== undefined)
    return (sweep.rungs ?? [{ epochs: 1 }]).map(({ epochs }) => ({ epochs, attacks: [], robustSamples: 1 }));
  const { train, evaluation } = resolveConfig(base);
  const wishes = sweep.rungs ?? [{ epochs: train.epochs, attacks: undefined, robustSamples: undefined }];
  for (const [i, { epochs }] of wishes.entries()) {
    const before = wishes[i - 1]?.epochs ?? 0;
    if (epochs < before)
      throw invalid(
        `rungs.${i}.epochs`,
        `rungs.${i} is before rungs.${i - 1}`,
        `epochs of at least ${before}`,
        String(epochs),
        'put the rungs in rising order',
      );
  }
  return wishes.map(({ epochs, attacks, robustSamples }) => ({
    epochs,
    attacks: [...(attacks ?? evaluation.attacks)],
    robustSamples: robustSamples ?? evaluation.robustSamples,
  }));
}

function checkFunctionSpace(space: SearchSpace): void {
  for (const [i, { name }] of space.describe().entries()) {
    if (name !== `x${i + 1}`)
      throw invalid(
        `space.${name}`,
        `space.${name}: a test function has the parameters x1, x2, ... in their order`,
        `x${i + 1}`,
        `"${name}"`,
        'rename it',
      );
  }
}

/** JSON with sorted keys, so that equal configs have equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
