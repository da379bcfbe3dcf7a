/** @file A scheduler by its name. */
import type { SchedulerName } from '../config/index.ts';
import type { Scheduler, SchedulerOptions } from './scheduler.ts';
import { createAsha } from './schedulers/asha.ts';
import { createHyperband, createSuccessiveHalving } from './schedulers/hyperband.ts';
import { createMedianStopping } from './schedulers/median-stopping.ts';
import { createPbt } from './schedulers/pbt.ts';
import { createRunThrough } from './schedulers/run-through.ts';

const SCHEDULERS: Readonly<Record<SchedulerName, (options: SchedulerOptions) => Scheduler>> = {
  none: createRunThrough,
  median: createMedianStopping,
  'successive-halving': createSuccessiveHalving,
  asha: createAsha,
  hyperband: createHyperband,
  pbt: createPbt,
};

export function createScheduler(name: SchedulerName, options: SchedulerOptions): Scheduler {
  return SCHEDULERS[name](options);
}
