/** @file What a sweep is, as its journal's first event says, and whether it is the one that was asked for. */
import { hash } from 'node:crypto';
import { resolveSweep, type SweepSource } from '../config/index.ts';
import { DeepDefenseError, PACKAGE_VERSION, SWEEP_FORMAT } from '../core/index.ts';
import type { SweepStarted } from '../journal/index.ts';
import { canonicalJson } from '../sweeps/index.ts';
import { differingLeaves } from './config-difference.ts';
import { SWEEP_JOURNAL } from './sweep-backend.ts';
import type { SweepState } from './sweep-state.ts';

export interface DefinedSweep {
  /** Undefined = that of the journal. */
  readonly source: SweepSource | undefined;
  readonly sweepId: string;
  readonly folder: string;
  /** Name and content hash; empty of a test function. */
  readonly dataset: { readonly name: string; readonly contentHash: string };
}

/** First event of a new sweep. @throws DeepDefenseError CHECKPOINT_MISSING without a definition */
export function startedEvent({ source, sweepId, dataset, folder }: DefinedSweep): SweepStarted {
  if (source === undefined) {
    throw new DeepDefenseError('CHECKPOINT_MISSING', {
      what: `there is no sweep in "${folder}"`,
      expected: `a folder with ${SWEEP_JOURNAL}`,
      todo: 'give the folder of a sweep, or start one with -c',
    });
  }
  return {
    type: 'sweep-started',
    format: SWEEP_FORMAT,
    sweepId,
    packageVersion: PACKAGE_VERSION,
    sweep: source.sweep as unknown as Record<string, unknown>,
    base: source.base,
    datasetName: dataset.name,
    datasetHash: dataset.contentHash,
  };
}

/** Keys of a sweep file that may change from one process to the next. */
const FREE_SWEEP_KEYS = ['sweepsFolder', 'gang', 'maxParallel', 'priority', 'errors', 'preemptions', 'leaseMs'];

/** As in the schema. */
const MOST_PRIORITY = 1000;

/** Base without the place of the data, which differs from machine to machine; what they are says their hash. */
function lastingBase(base: SweepSource['base']): unknown {
  const { data, ...others } = base as { readonly data?: Readonly<Record<string, unknown>> };
  const { path: _, ...lasting } = data ?? {};
  return { ...others, data: lasting };
}

/** @throws DeepDefenseError SWEEP_OTHER when the sweep was begun with another definition */
export function checkSame({ sweep, base }: SweepSource, started: SweepStarted, folder: string): void {
  const [before, now] = [
    // With the defaults of keys that are younger than the journal.
    { sweep: JSON.parse(JSON.stringify(resolveSweep(started.sweep))) as unknown, base: lastingBase(started.base as SweepSource['base']) },
    JSON.parse(JSON.stringify({ sweep, base: lastingBase(base) })) as unknown,
  ];
  const differences = differingLeaves(before, now).filter(({ key }) => !FREE_SWEEP_KEYS.some((free) => key === `sweep.${free}`));
  const [first] = differences;
  if (first === undefined) return;
  throw new DeepDefenseError('SWEEP_OTHER', {
    what: `the sweep in "${folder}" was defined otherwise`,
    expected: `${first.key} ${first.before}`,
    got: `${first.key} ${first.now}${differences.length > 1 ? `, and ${differences.length - 1} more differences` : ''}`,
    todo: 'go on with the sweep as it is (sweep resume), or give another folder; sweep extend raises the budget',
    fields: { folder, differences },
  });
}

/** @throws DeepDefenseError SWEEP_OTHER when the sweep was begun with other data */
export function checkDataset({ name, contentHash }: DefinedSweep['dataset'], started: SweepStarted, folder: string): void {
  if (contentHash === started.datasetHash) return;
  throw new DeepDefenseError('SWEEP_OTHER', {
    what: `the sweep in "${folder}" was begun with other data`,
    expected: `${started.datasetName}, content ${started.datasetHash.slice(0, 12)}`,
    got: `${name}, content ${contentHash.slice(0, 12)}`,
    todo: 'give --data with the data of the sweep',
    fields: { folder },
  });
}

/** SHA-256 of a definition, without what may change. */
export function definitionHash({ sweep, base }: SweepSource): string {
  const lasting = Object.fromEntries(Object.entries(sweep).filter(([key]) => !FREE_SWEEP_KEYS.includes(key)));
  return hash('sha256', canonicalJson({ sweep: lasting, base: lastingBase(base) }), 'hex');
}

/** @throws DeepDefenseError USAGE when the sweep has as many candidates already */
export function checkExtension(candidates: number, state: SweepState): void {
  const now = state.planner.budget;
  if (state.source.sweep.scheduler.name === 'pbt' && state.planner.finished) {
    throw new DeepDefenseError('USAGE', {
      what: 'the population of this sweep has been trained to the last rung, and forks of it would come too late',
      todo: 'start a sweep with more rungs or a larger population',
    });
  }
  if (candidates > now) return;
  throw new DeepDefenseError('USAGE', {
    what: 'extend raises the number of candidates',
    expected: `more than ${now}`,
    got: String(candidates),
    todo: 'give the number of candidates of the whole sweep',
  });
}

/** @throws DeepDefenseError USAGE */
export function checkPriority(priority: number): void {
  if (priority > 0 && priority <= MOST_PRIORITY) return;
  throw new DeepDefenseError('USAGE', {
    what: 'bad priority of a sweep',
    expected: `a number above 0, at most ${MOST_PRIORITY}`,
    got: String(priority),
  });
}
