/** @file One evaluation in this process: the coordinator, its worker processes, progress, and Ctrl-C. */
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import { type EvaluationOutcome, type EvaluationQuestion, startEvaluation } from '../coordinator/index.ts';
import { EXIT_CODES } from '../core/index.ts';
import type { Dataset } from '../data/index.ts';
import { createLogger, createMetrics } from '../telemetry/index.ts';
import type { CommandContext } from './context.ts';
import { onInterrupt } from './interrupts.ts';
import { showEvaluation } from './show-evaluation.ts';
import { requireTensorPackages } from './tensor-packages.ts';
import { describeExit, WorkerProcesses, workersLost } from './worker-processes.ts';

export interface EvaluationSessionOptions {
  readonly context: CommandContext;
  readonly question: EvaluationQuestion;
  /** Of data, cluster and engine. */
  readonly config: Config;
  readonly dataset: Dataset;
  readonly folder: string;
  /** Names of the networks, for progress. */
  readonly labels: readonly string[];
  /** Worker processes to start; 0 = wait for workers from elsewhere. */
  readonly workers: number;
  /** Further arguments of each, e.g. `--data PATH`. */
  readonly workerArgs: readonly string[];
}

/** Time that workers have to end by themselves once the evaluation is over. */
const WORKER_GRACE_MS = 5000;

/**
 * Evaluates until all is done, a signal stops it, or it fails.
 * @returns what was found, and whether Ctrl-C stopped it
 * @throws DeepDefenseError of the evaluation; WORKERS_LOST when every started worker is given up.
 */
export async function evaluateHere(
  options: EvaluationSessionOptions,
): Promise<{ readonly outcome: EvaluationOutcome; readonly interrupted: boolean }> {
  const { context, question, config, dataset, folder, labels, workers } = options;
  if (workers > 0) requireTensorPackages();
  const { logLevel } = context.global;
  const { logsJson } = context;
  const logger = createLogger({ level: logLevel === 'info' && !logsJson ? 'warn' : logLevel, json: logsJson, name: 'coordinator' });
  const admission = await context.admission(config.cluster.host);
  const handle = await startEvaluation({ question, config, folder, dataset, ...admission, logger, metrics: createMetrics('coordinator') });
  const note = (text: string) => context.notice(text);
  const shown = showEvaluation(handle.progress, { labels, attacks: question.attacks, note });
  note(`coordinator on ${handle.grpcAddress}, metrics on ${handle.httpUrl}/metrics`);
  const processes = workers === 0 ? undefined : startWorkers(options, handle.grpcAddress, note);
  if (processes === undefined) note(`start workers with: deepdefense worker --coordinator ${handle.grpcAddress}`);
  const interrupt = onInterrupt({
    stop: () => {
      note('stopping after the tasks in progress; once more to stop at once');
      void handle.stop('interrupted').catch(() => {}); // The result carries the failure.
    },
    abandon: () => processes?.killNow(),
  });
  let ended = false;
  try {
    const lost = await Promise.race([handle.result.then(() => undefined), ...(processes === undefined ? [] : [processes.givenUp])]);
    if (lost !== undefined) {
      await handle.stop('all started workers ended');
      throw workersLost(lost);
    }
    const outcome = await handle.result;
    ended = true;
    return { outcome, interrupted: interrupt.signal() === 'SIGINT' && outcome.state === 'stopped' };
  } finally {
    // After a failure they may wait for another coordinator, which doesn't come.
    await (ended ? processes?.stop(WORKER_GRACE_MS) : processes?.leave(WORKER_GRACE_MS));
    await shown;
    interrupt.remove();
  }
}

function startWorkers(
  { context, config, folder, workers, workerArgs }: EvaluationSessionOptions,
  address: string,
  note: (text: string) => void,
): WorkerProcesses {
  const level = context.global.logLevel === 'debug' ? 'debug' : 'info';
  return new WorkerProcesses({
    count: workers,
    args: ['--coordinator', address, '--log-level', level, ...workerArgs],
    logFolder: join(folder, 'logs'),
    errors: config.cluster.workerErrors,
    preemptions: config.cluster.workerPreemptions,
    onExit: (exit) => {
      if (exit.exitCode !== EXIT_CODES.OK)
        note(
          `worker process ${exit.worker} ${describeExit(exit)}; ${exit.restarts ? 'starting it again' : 'giving it up'}, see ${exit.logFile ?? 'above'}`,
        );
    },
  });
}
