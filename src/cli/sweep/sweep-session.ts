/** @file One sweep in this process: the coordinator, its worker processes, progress, and Ctrl-C. */
import { join } from 'node:path';
import type { SweepSource } from '../../config/index.ts';
import { type SweepHandle, startSweep } from '../../coordinator/index.ts';
import { type DeepDefenseError, EXIT_CODES } from '../../core/index.ts';
import type { SweepRecord } from '../../sweeps/index.ts';
import { createLogger, withContext } from '../../telemetry/index.ts';
import type { CommandContext } from '../context.ts';
import { onInterrupt } from '../interrupts.ts';
import { requireTensorPackages } from '../tensor-packages.ts';
import { describeExit, WorkerProcesses, workersLost } from '../worker-processes.ts';
import { type NatsFlags, natsArguments, natsOptionsOf, passOnLogin } from './nats-options.ts';
import { showSweep } from './show-sweep.ts';

export interface SweepSessionOptions extends NatsFlags {
  readonly context: CommandContext;
  /** Undefined = that of the folder's journal. */
  readonly source: SweepSource | undefined;
  readonly folder: string;
  readonly sweepId: string;
  readonly dataset: { readonly name: string; readonly contentHash: string };
  readonly retryFailed?: 'checkpoint' | 'scratch' | undefined;
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
  /** Waits while another coordinator runs the sweep. */
  readonly standby?: boolean | undefined;
  /** Worker processes to start; 0 = wait for workers from elsewhere. */
  readonly workers: number;
  /** Further arguments of each, e.g. `--data PATH`. */
  readonly workerArgs: readonly string[];
}

/** Time that workers have to write a checkpoint and hand back their trials. */
const LEAVE_GRACE_MS = 20_000;
/** Time that workers have to end by themselves once the sweep is over. */
const END_GRACE_MS = 5_000;
/** One worker process is started again so often; trials have budgets of their own. */
const WORKER_RESTARTS = 50;

/**
 * Sweeps until all is done, a signal stops it, or it fails.
 * @returns the record, and whether Ctrl-C stopped it
 * @throws DeepDefenseError of the sweep; WORKERS_LOST when every started worker is given up.
 */
export async function sweepHere(options: SweepSessionOptions): Promise<{ readonly record: SweepRecord; readonly interrupted: boolean }> {
  const { context, source, folder, sweepId, dataset, retryFailed, host, port, httpPort, workers } = options;
  if (workers > 0) requireTensorPackages();
  const { logLevel } = context.global;
  const { logsJson } = context;
  const logger = withContext(
    createLogger({ level: logLevel === 'info' && !logsJson ? 'warn' : logLevel, json: logsJson, name: 'sweep' }),
    () => ({ sweep: sweepId }),
  );
  const note = (text: string) => context.notice(text);
  const traces = await context.traces('sweep', logger);
  const admission = await context.admission(host);
  const nats = natsOptionsOf(options, context.global, (reason) => note(`NATS: ${reason}; trying again`));
  const waiting = new AbortController();
  const standby = {
    signal: waiting.signal,
    onWait: (error: DeepDefenseError) => note(`standing by: ${error.parts.what} (${error.parts.got})`),
  };
  let handle: SweepHandle | undefined;
  let processes: WorkerProcesses | undefined;
  const stop = async (): Promise<void> => {
    waiting.abort();
    handle?.hold();
    await processes?.leave(LEAVE_GRACE_MS);
    await handle?.stop('interrupted');
  };
  const interrupt = onInterrupt({
    stop: () => {
      note('stopping: trials write checkpoints and are handed back; once more to stop at once');
      void stop().catch(() => {}); // The result carries the failure.
    },
    abandon: () => processes?.killNow(),
  });
  let shown: Promise<void> | undefined;
  try {
    handle = await startSweep({
      ...{ source, folder, sweepId, dataset, retryFailed, host, port, ...admission, httpPort, logger, traces, nats },
      standby: options.standby === true ? standby : undefined,
    });
    shown = showSweep(handle.progress, { objectives: handle.objectives, secondsLeft: handle.secondsLeft, note });
    note(`sweep in ${folder}, coordinator on ${handle.address}, metrics on ${handle.httpUrl}/metrics`);
    const workerSource = nats === undefined ? ['--sweep', handle.address] : [...natsArguments(options, context.global), '--sweep', sweepId];
    passOnLogin(options);
    if (workers === 0) note(`start workers with: deepdefense worker ${workerSource.join(' ')}`);
    else processes = startWorkers(options, workerSource, note);
    const lost = await Promise.race([handle.result.then(() => undefined), ...(processes === undefined ? [] : [processes.givenUp])]);
    if (lost !== undefined && interrupt.signal() === undefined) {
      await handle.stop('all started workers ended');
      throw workersLost(lost);
    }
    const record = await handle.result;
    return { record, interrupted: interrupt.signal() === 'SIGINT' && record.state === 'stopped' };
  } finally {
    await processes?.stop(END_GRACE_MS);
    await shown;
    await traces.close();
    interrupt.remove();
  }
}

function startWorkers(
  { context, folder, workers, workerArgs }: SweepSessionOptions,
  source: readonly string[],
  note: (text: string) => void,
): WorkerProcesses {
  const level = context.global.logLevel === 'debug' ? 'debug' : 'info';
  return new WorkerProcesses({
    count: workers,
    args: [...source, '--log-level', level, ...workerArgs],
    logFolder: join(folder, 'logs'),
    errors: WORKER_RESTARTS,
    preemptions: WORKER_RESTARTS,
    onExit: (exit) => {
      if (exit.exitCode !== EXIT_CODES.OK)
        note(
          `worker process ${exit.worker} ${describeExit(exit)}; ${exit.restarts ? 'starting it again' : 'giving it up'}, see ${exit.logFile ?? 'above'}`,
        );
    },
  });
}
