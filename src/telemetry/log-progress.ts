/** @file Progress of a run as log lines, where logs are read by programs: the same fields as in other lines, a step at most every so often. */
import { type Clock, systemClock } from '../core/index.ts';
import type { Logger } from './logger.ts';
import type { ProgressSink } from './progress.ts';

/** The first and the last step are always logged, others at most every `everySeconds`. */
export function logProgress(logger: Logger, everySeconds = 10, clock: Clock = systemClock): ProgressSink {
  let last = Number.NEGATIVE_INFINITY;
  let total = 0;
  return {
    start: ({ totalSteps }) => {
      total = totalSteps;
      last = Number.NEGATIVE_INFINITY;
    },
    step: ({ step, epoch, loss, accuracy, samplesPerSecond }) => {
      const nowMs = clock.nowMs();
      if (nowMs - last < everySeconds * 1000 && step < total) return;
      last = nowMs;
      logger.info({ step, totalSteps: total, epoch, loss, accuracy, samplesPerSecond: Math.round(samplesPerSecond) }, 'step');
    },
    note: (text) => logger.info(text),
    stop: () => {},
    log: process.stderr,
  };
}
