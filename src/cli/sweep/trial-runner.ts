/** @file Does the tasks of a sweep: trains a trial up to its rung and measures it, in this process, or computes a test function. */
import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCoordinator, type RunResult, untilSteps } from '../../coordinator/index.ts';
import { DeepDefenseError, isDeepDefenseError } from '../../core/index.ts';
import { type Dataset, openDataset } from '../../data/index.ts';
import type { Claim } from '../../queue/index.ts';
import { detailName, evaluateFunction, type PartWork } from '../../sweeps/index.ts';
import { type CoordinatorMetrics, createMetrics, type Logger, type WorkerMetrics } from '../../telemetry/index.ts';
import { runWorker, type WorkerPlacement } from '../../worker/index.ts';
import { openTrialFolder } from './trial-folders.ts';

export interface TrialRunnerOptions {
  /** CIFAR-10 archive or folder, in place of the config's. */
  readonly dataPath: string | undefined;
  /** Folder of the trials, in place of the one that the coordinator names. */
  readonly trialsFolder: string | undefined;
  readonly placement: WorkerPlacement;
  readonly logger: Logger;
}

/** A task's payload. */
type Payload = PartWork & { readonly folder: string; readonly fromScratch: boolean };

interface TrialResult {
  readonly details: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly engine: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Errors that are a trial's own doing: the same steps end the same way everywhere. */
const OWN_FAILURES: readonly string[] = ['NON_FINITE_LOSS'];

/** See the file's header. Keeps the dataset from task to task. */
export class TrialRunner {
  readonly #options: TrialRunnerOptions;
  readonly #metrics: { readonly coordinator: CoordinatorMetrics; readonly worker: WorkerMetrics };
  #dataset: { readonly key: string; readonly opened: Promise<Dataset> } | undefined;

  constructor(options: TrialRunnerOptions) {
    this.#options = options;
    this.#metrics = { coordinator: createMetrics('coordinator', { processMetrics: false }), worker: createMetrics('worker') };
  }

  /** @returns the result of the task, JSON. @throws DeepDefenseError when it could not be done here */
  async run({ task, epoch }: Claim, signal: AbortSignal): Promise<string> {
    const work = JSON.parse(task.payload) as Payload;
    const startedMs = performance.now();
    const seconds = () => (performance.now() - startedMs) / 1000;
    if (work.kind === 'function') {
      await sleep(work.seconds * 1000, undefined, { signal });
      const [value = Number.NaN, value2] = evaluateFunction(work.name, work.x);
      return JSON.stringify({
        details: { value, ...(value2 !== undefined && { value2 }) },
        seconds: seconds(),
        engine: '',
      } satisfies TrialResult);
    }
    try {
      const result = await this.#train(work, epoch, signal);
      return JSON.stringify({ details: detailsOf(result), seconds: seconds(), engine: result.engine } satisfies TrialResult);
    } catch (error) {
      if (!isDeepDefenseError(error) || !OWN_FAILURES.includes(error.code)) throw error;
      const { code, message } = error;
      return JSON.stringify({ details: {}, seconds: seconds(), engine: '', error: { code, message } } satisfies TrialResult);
    }
  }

  async #train(work: Extract<Payload, { kind: 'training' }>, epoch: number, signal: AbortSignal): Promise<RunResult> {
    const { logger, dataPath, trialsFolder = work.folder, placement } = this.#options;
    const { trial, measuring } = work;
    const { attacks, robustSamples, epochs } = measuring;
    const path = dataPath ?? work.config.data.path;
    const config = {
      ...work.config,
      data: { ...work.config.data, path },
      evaluation: { ...work.config.evaluation, attacks: [...attacks], robustSamples },
    };
    const dataset = await this.#open(config.data);
    await mkdir(trialsFolder, { recursive: true });
    const { runFolder, resume, resumePath } = await openTrialFolder({
      root: trialsFolder,
      trial,
      epoch,
      config,
      mostSteps: untilSteps(config, dataset.train.count, epochs),
      fromScratch: work.fromScratch,
      note: (text) => logger.warn({ trial }, text),
    });
    signal.throwIfAborted();
    const handle = await startCoordinator({
      config: { ...config, cluster: { ...config.cluster, host: '127.0.0.1', port: 0, httpPort: 0, minWorkers: 1 } },
      runFolder,
      runId: `trial-${trial.slice(0, 16)}`,
      dataset,
      ...(resume !== undefined && { resume, resumePath }),
      untilEpochs: epochs,
      logger,
      metrics: this.#metrics.coordinator,
      signal,
    });
    const leave = new AbortController();
    const worker = runWorker({
      coordinatorAddress: handle.grpcAddress,
      dataOptions: path === undefined ? {} : { path },
      placement,
      logger,
      metrics: this.#metrics.worker,
      signal: leave.signal,
    });
    let ended = false;
    try {
      // A worker that can't work says why; the coordinator would only miss it.
      const failed = worker.then(
        () => new Promise<never>(() => {}),
        (error: unknown) => Promise.reject(error instanceof Error ? error : new Error(String(error))),
      );
      const result = await Promise.race([handle.result, failed]);
      ended = true;
      if (signal.aborted)
        throw new DeepDefenseError('INTERRUPTED', { what: `trial ${trial.slice(0, 16)} was stopped after step ${result.steps}` });
      return result;
    } finally {
      if (!ended) await handle.stop('the trial is over');
      leave.abort();
      await worker.catch(() => {}); // Its error has ended the race above.
    }
  }

  /** The dataset, opened once for all trials that use the same. */
  async #open({
    source,
    path,
    label,
  }: {
    readonly source: 'cifar10' | 'synthetic';
    readonly path?: string | undefined;
    readonly label?: string | undefined;
  }) {
    const key = JSON.stringify([source, path, label]);
    if (this.#dataset?.key !== key) this.#dataset = { key, opened: openDataset({ source, path, label }) };
    return this.#dataset.opened;
  }
}

/** Figures of a measurement by name. */
function detailsOf({ cleanAccuracy, robust }: RunResult): Record<string, number> {
  const details: Record<string, number> = cleanAccuracy === null ? {} : { clean: cleanAccuracy };
  for (const { attack, epsLinf, accuracy } of robust) details[detailName(attack, epsLinf)] = accuracy;
  // Of one attack alone the worst case is its own.
  for (const { epsLinf, accuracy } of robust) details[detailName('worst-case', epsLinf)] ??= accuracy;
  return details;
}
