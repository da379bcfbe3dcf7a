/** @file How long a run is and what is due after which step: pure arithmetic on the config and the number of training samples. */
import type { Config } from '../config/index.ts';
import { DeepDefenseError } from '../core/index.ts';

/** "After step" always means: when so many steps are committed. */
export interface RunPlan {
  /** Steps of the whole run: min(maxSteps, ceil(epochs * N / B)). */
  readonly totalSteps: number;
  /** Steps at which this process ends: all, or those of the epochs that are asked for now. */
  readonly endStep: number;
  /** Training samples N of one epoch. */
  readonly samplesPerEpoch: number;
  readonly batchSize: number;
  /** Steps from `step` committed ones to the next synchronisation: sync.everySteps, fewer at the end of the run. */
  stepsFrom(step: number): number;
  /** Passes over the training set after `step` steps, with fraction. */
  epochsAfter(step: number): number;
  /** True when the last sample of an epoch was consumed in the steps of the last synchronisation up to `step`. */
  endsEpoch(step: number): boolean;
  /** True when clean accuracy is due after `step` steps; not for the last step, whose evaluation belongs to the end of the run. */
  evaluatesAfter(step: number): boolean;
  /** True when a checkpoint is due after `step` steps. */
  checkpointsAfter(step: number): boolean;
}

/**
 * @param trainSamples training samples at hand; `data.trainSamples` limits them.
 * @param untilEpochs epochs after which this process evaluates and ends, leaving the rest of the schedule to another; undefined = all
 */
export function createRunPlan(config: Config, trainSamples: number, untilEpochs?: number): RunPlan {
  const { epochs, maxSteps, batchSize } = config.train;
  const samplesPerEpoch = Math.min(trainSamples, config.data.trainSamples ?? trainSamples);
  const totalSteps = Math.min(maxSteps ?? Number.POSITIVE_INFINITY, Math.ceil((epochs * samplesPerEpoch) / batchSize));
  const stepsOf = (wanted: number) => Math.ceil((wanted * samplesPerEpoch) / batchSize / config.sync.everySteps) * config.sync.everySteps;
  const endStep = untilEpochs === undefined ? totalSteps : Math.min(totalSteps, stepsOf(untilEpochs));
  const epochsAfter = (step: number) => (step * batchSize) / samplesPerEpoch;
  const { everySteps } = config.sync;
  // Steps at the synchronisation before.
  const before = (step: number) => Math.floor((step - 1) / everySteps) * everySteps;
  // True when a multiple of `period` lies between it and `step`, which counts.
  const passes = (step: number, period: number) => Math.floor(step / period) > Math.floor(before(step) / period);
  const crosses = (step: number, period: number) => Math.floor(epochsAfter(step) / period) > Math.floor(epochsAfter(before(step)) / period);
  return {
    totalSteps,
    endStep,
    samplesPerEpoch,
    batchSize,
    stepsFrom: (step) => Math.min(everySteps, totalSteps - step),
    epochsAfter,
    endsEpoch: (step) => crosses(step, 1),
    evaluatesAfter: (step) => step < endStep && crosses(step, config.evaluation.everyEpochs),
    checkpointsAfter: (step) => step === endStep || passes(step, config.checkpoint.everySteps) || crosses(step, 1),
  };
}

/** Steps after which a process that trains until so many epochs ends; see {@link createRunPlan}. */
export function untilSteps(config: Config, trainSamples: number, epochs: number): number {
  return createRunPlan(config, trainSamples, epochs).endStep;
}

/**
 * Checks that timeouts are ordered: heartbeatMs < leaseMs / 2 and leaseMs < stepDeadlineMs. Configs from a file were checked before; this
 * guards those made by programs.
 * @throws DeepDefenseError CONFIG_TIMEOUT_ORDER
 */
export function checkTimeouts({ heartbeatMs, leaseMs, stepDeadlineMs }: Config['cluster']): void {
  if (heartbeatMs < leaseMs / 2 && leaseMs < stepDeadlineMs) return;
  throw new DeepDefenseError('CONFIG_TIMEOUT_ORDER', {
    what: 'the timeouts of section "cluster" are not ordered',
    expected: 'heartbeatMs < leaseMs / 2 and leaseMs < stepDeadlineMs',
    got: `heartbeatMs ${heartbeatMs}, leaseMs ${leaseMs}, stepDeadlineMs ${stepDeadlineMs}`,
    todo: 'leave them at their defaults, or raise leaseMs and stepDeadlineMs',
    fields: { heartbeatMs, leaseMs, stepDeadlineMs },
  });
}
