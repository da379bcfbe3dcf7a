/** @file One training run in this process: the coordinator, its worker processes, progress, and Ctrl-C. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import type { Checkpoint, RunResult } from '../coordinator/index.ts';
import { startCoordinator } from '../coordinator/index.ts';
import { EXIT_CODES } from '../core/index.ts';
import type { Dataset } from '../data/index.ts';
import { createLogger, createMetrics, createProgress, logProgress, silentProgress, withContext } from '../telemetry/index.ts';
import type { CommandContext } from './context.ts';
import { onInterrupt } from './interrupts.ts';
import { showProgress } from './show-progress.ts';
import { requireTensorPackages } from './tensor-packages.ts';
import { describeExit, WorkerProcesses, workersLost } from './worker-processes.ts';

/** Options of {@link trainHere}. */
export interface TrainingOptions {
  readonly context: CommandContext;
  readonly config: Config;
  readonly dataset: Dataset;
  readonly runId: string;
  readonly runFolder: string;
  /** False for a run that goes on in its folder, which must stay whatever happens. */
  readonly isNew: boolean;
  readonly resume?: Checkpoint;
  /** File that `resume` was read from. */
  readonly resumePath?: string;
  /** Worker processes to start; 0 = wait for workers from elsewhere. */
  readonly workers: number;
  /** Further arguments of each, e.g. `--data PATH`. */
  readonly workerArgs?: readonly string[];
  /** Something starts this command again after a stop or an error: workers from elsewhere wait for it. */
  readonly hasSuccessor?: boolean;
}

/** How a run ended here. */
export interface TrainingOutcome {
  readonly result: RunResult;
  /** True when Ctrl-C stopped it; SIGTERM asks for a clean end, which is a success. */
  readonly interrupted: boolean;
}

/** Time that workers have to end by themselves once the run is over. */
const WORKER_GRACE_MS = 5000;

/**
 * Trains until the run completes, is stopped by a signal, or fails.
 * @throws DeepDefenseError of the run; WORKERS_LOST when every started worker is given up.
 */
export async function trainHere(options: TrainingOptions): Promise<TrainingOutcome> {
  const { context, config, dataset, runId, runFolder, resume, resumePath, workers, hasSuccessor } = options;
  if (workers > 0) requireTensorPackages();
  const { json, logLevel } = context.global;
  const { logsJson } = context;
  // What the progress display shows is not logged again.
  const display = json || logsJson || logLevel === 'silent' ? silentProgress() : createProgress();
  const logger = createLogger({
    level: logLevel === 'info' && !logsJson ? 'warn' : logLevel,
    json: logsJson,
    destination: display.log,
    name: 'coordinator',
  });
  const progress = logsJson ? logProgress(withContext(logger, () => ({ run: runId }))) : display;
  const admission = await context.admission(config.cluster.host);
  const traces = await context.traces('coordinator', logger);
  const handle = await startCoordinator({
    config,
    traces,
    ...admission,
    runFolder,
    runId,
    dataset,
    hasSuccessor,
    ...(resume === undefined ? {} : { resume, resumePath }),
    logger,
    metrics: createMetrics('coordinator'),
  }).catch(async (error: unknown) => {
    // A run that never began, for example because its port is taken, leaves nothing behind.
    if (options.isNew) await rm(runFolder, { recursive: true, force: true });
    throw error;
  });
  const shown = showProgress(handle.progress, progress, config.strategy.name);
  progress.note(`coordinator on ${handle.grpcAddress}, metrics on ${handle.httpUrl}/metrics`);
  const processes = workers === 0 ? undefined : startWorkers(options, handle.grpcAddress, (text) => progress.note(text));
  if (processes === undefined) progress.note(`start workers with: deepdefense worker --coordinator ${handle.grpcAddress}`);
  const interrupt = onInterrupt({
    stop: () => {
      progress.note('stopping after this step with a checkpoint; once more to stop at once');
      void handle.stop('interrupted').catch(() => {}); // The run's own result carries the failure.
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
    const result = await handle.result;
    ended = true;
    return { result, interrupted: interrupt.signal() === 'SIGINT' && result.state === 'stopped' };
  } finally {
    // After a failure they may wait for another coordinator, which doesn't come.
    await (ended ? processes?.stop(WORKER_GRACE_MS) : processes?.leave(WORKER_GRACE_MS));
    await shown;
    await traces.close();
    interrupt.remove();
  }
}

function startWorkers(
  { context, config, runFolder, workers, workerArgs = [] }: TrainingOptions,
  address: string,
  note: (text: string) => void,
): WorkerProcesses {
  const level = context.global.logLevel === 'debug' ? 'debug' : 'info';
  return new WorkerProcesses({
    count: workers,
    args: ['--coordinator', address, '--log-level', level, ...workerArgs],
    logFolder: join(runFolder, 'logs'),
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
