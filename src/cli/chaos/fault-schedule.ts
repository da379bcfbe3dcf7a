/** @file Which faults happen when: a function of the seed alone, so that a schedule can be played again. */
import { Random } from '../../core/index.ts';

/** What can be done to one of the workers. */
export const WORKER_FAULTS = ['kill', 'freeze', 'disconnect', 'delay', 'partition'] as const;
/** What can be done to the coordinator or its disk. */
export const COORDINATOR_FAULTS = ['kill-coordinator', 'slow-disk', 'full-disk'] as const;
export type FaultKind = (typeof WORKER_FAULTS)[number] | (typeof COORDINATOR_FAULTS)[number];

export interface Fault {
  /** Seconds into the schedule; a run that is faster or slower meets it at the same share of its steps. */
  readonly atSeconds: number;
  readonly kind: FaultKind;
  /** Number of the worker, from 1; absent for faults of the coordinator. */
  readonly worker?: number;
  /** How long it lasts; 0 for kills and disconnections. */
  readonly seconds: number;
}

export interface ScheduleOptions {
  readonly seed: number;
  /** Length of the run. */
  readonly seconds: number;
  readonly workers: number;
  /** All kinds together but kills of the coordinator. */
  readonly faultsPerMinute: number;
  readonly coordinatorKills: number;
}

/** No fault in the last part, so that the run ends by itself. */
const QUIET_END = 0.05;
/** Every so many faults one of the coordinator's disk. */
const DISK_FAULT_EVERY = 8;

/** Faults in order of time; kills of the coordinator are spread over the run. */
export function scheduleFaults({ seed, seconds, workers, faultsPerMinute, coordinatorKills }: ScheduleOptions): Fault[] {
  const random = new Random('order', seed);
  const end = seconds * (1 - QUIET_END);
  const count = Math.round((end / 60) * faultsPerMinute);
  // One in each interval of equal length, at a random moment of it: as many as asked for, and no two runs of faults alike.
  const momentOf = (index: number, of: number): number => ((index + random.uniform()) * end) / of;
  const faults = Array.from({ length: count }, (_, index): Fault => {
    const atSeconds = momentOf(index, count);
    if (index % DISK_FAULT_EVERY === DISK_FAULT_EVERY - 1) {
      const kind = random.integer(2) === 0 ? 'slow-disk' : 'full-disk';
      return { atSeconds, kind, seconds: 1 + 2 * random.uniform() };
    }
    const kind = WORKER_FAULTS[random.integer(WORKER_FAULTS.length)] as (typeof WORKER_FAULTS)[number];
    const worker = 1 + random.integer(workers);
    const lasts = kind === 'freeze' || kind === 'delay' || kind === 'partition';
    return { atSeconds, kind, worker, seconds: lasts ? 1 + 5 * random.uniform() : 0 };
  });
  for (let i = 0; i < coordinatorKills; i++)
    faults.push({ atSeconds: momentOf(i, coordinatorKills), kind: 'kill-coordinator', seconds: 0 });
  return faults.sort((a, b) => a.atSeconds - b.atSeconds);
}
