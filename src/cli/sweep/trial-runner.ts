/** @file Does the tasks of a sweep: trains a trial up to its rung and measures it, in this process, or computes a test function. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/index.ts';
import { type Checkpoint, checkBuild, loadCheckpoint, loadNewestCheckpoint, type RunResult, untilSteps } from '../../coordinator/index.ts';
import { DeepDefenseError, isDeepDefenseError } from '../../core/index.ts';
import { type Dataset, openDataset } from '../../data/index.ts';
import type { Claim } from '../../queue/index.ts';
import { detailName, evaluateFunction, type PartWork, type TrialOrigin } from '../../sweeps/index.ts';
import type { Logger, SweepWorkerMetrics, Traces } from '../../telemetry/index.ts';
import type { TaskResult, WorkClock, WorkerPlacement } from '../../worker/index.ts';
import { runGang } from './gang-run.ts';
import { keepRung, openTrialFolder, rungFile } from './trial-folders.ts';

export interface TrialRunnerOptions {
  /** CIFAR-10 archive or folder, in place of the config's. */
  readonly dataPath: string | undefined;
  /** Folder with a folder of trials per sweep, in place of the ones that the coordinators name. */
  readonly trialsFolder: string | undefined;
  readonly placement: WorkerPlacement;
  readonly logger: Logger;
  readonly metrics: SweepWorkerMetrics;
  readonly traces: Traces;
  /** Told what the worker is doing. */
  readonly clock: WorkClock;
}

/** A task's payload. */
type Payload = PartWork & {
  /** Id of the sweep; missing in tasks of version 0.1.0 and before. */
  readonly sweep?: string;
  readonly folder: string;
  readonly fromScratch: boolean;
  readonly gang: number;
  /** Trace context of the measurement, which the claim loop reads; missing when not traced. */
  readonly traceparent?: string;
};

interface TrialResult {
  readonly details: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly engine: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/** How a part of a trial begins. */
interface TrialStart {
  /** Workers that train it together. */
  readonly gang: number;
  readonly config: Config;
  readonly trial: string;
  readonly runFolder: string;
  readonly resume: Checkpoint | undefined;
  readonly resumePath: string | undefined;
  /** State of another trial that it begins with. */
  readonly fork: Checkpoint | undefined;
}

/** Errors that are a trial's own doing: the same steps end the same way everywhere. */
const OWN_FAILURES: readonly string[] = ['NON_FINITE_LOSS'];

/** See the file's header. Keeps the dataset from task to task. */
export class TrialRunner {
  readonly #options: TrialRunnerOptions;
  /** Names the task in its lines. */
  #logger: Logger;
  #dataset: { readonly key: string; readonly opened: Promise<Dataset> } | undefined;

  constructor(options: TrialRunnerOptions) {
    this.#options = options;
    this.#logger = options.logger;
  }

  /** @throws DeepDefenseError when the task could not be done here */
  async run({ task, epoch }: Claim, signal: AbortSignal, logger: Logger = this.#options.logger): Promise<TaskResult> {
    this.#logger = logger;
    const work = JSON.parse(task.payload) as Payload;
    this.#options.metrics.exemplars.set({ trial: (work.kind === 'training' ? work.trial : task.id).slice(0, 16) });
    const startedMs = performance.now();
    const seconds = () => (performance.now() - startedMs) / 1000;
    if (work.kind === 'function') {
      await sleep(work.seconds * 1000, undefined, { signal });
      const [value = Number.NaN, value2] = evaluateFunction(work.name, work.x);
      return taskResult({ details: { value, ...(value2 !== undefined && { value2 }) }, seconds: seconds(), engine: '' });
    }
    try {
      const result = await this.#train(work, epoch, signal);
      return taskResult({ details: detailsOf(result), seconds: seconds(), engine: result.engine });
    } catch (error) {
      if (!isDeepDefenseError(error) || !OWN_FAILURES.includes(error.code)) throw error;
      const { code, message } = error;
      return taskResult({ details: {}, seconds: seconds(), engine: '', error: { code, message } });
    }
  }

  /** Trains a trial up to its rung and measures it there. */
  async #train(work: Extract<Payload, { kind: 'training' }>, epoch: number, signal: AbortSignal): Promise<RunResult> {
    const { trialsFolder } = this.#options;
    const logger = this.#logger;
    // Epochs tell the claims of one sweep apart, not those of two that train the same trial.
    const root = trialsFolder === undefined ? work.folder : join(trialsFolder, work.sweep ?? '');
    const { trial, rung, measuring, fromScratch, origin, forkable, gang } = work;
    const { attacks, robustSamples, epochs } = measuring;
    const config = this.#here({ ...work.config, evaluation: { ...work.config.evaluation, attacks: [...attacks], robustSamples } });
    const dataset = await this.#open(config.data);
    await mkdir(root, { recursive: true });
    const { runFolder, resume, resumePath } = await openTrialFolder({
      root,
      trial,
      epoch,
      config,
      mostSteps: untilSteps(config, dataset.train.count, epochs),
      fromScratch,
      note: (text) => logger.warn({ trial }, text),
    });
    const fork = resume === undefined && origin !== undefined ? await this.#stateOf(origin, { root, runFolder, gang }, signal) : undefined;
    const result = await this.#runUntil(epochs, { gang, config, trial, runFolder, resume, resumePath, fork }, signal);
    if (forkable) await keepRung(runFolder, rungFile(root, trial, rung));
    return result;
  }

  /** The state that a trial goes on from, as its origin left it; where that isn't at hand, it is trained once more. */
  async #stateOf(
    origin: TrialOrigin,
    { root, runFolder, gang }: { readonly root: string; readonly runFolder: string; readonly gang: number },
    signal: AbortSignal,
  ): Promise<Checkpoint> {
    const { trial, rung, epochs } = origin;
    const config = this.#here({ ...origin.config, evaluation: { ...origin.config.evaluation, attacks: [] } });
    const { contentHash: datasetHash } = await this.#open(config.data);
    try {
      const file = rungFile(root, trial, rung);
      const checkpoint = await loadCheckpoint(file, { config, datasetHash });
      checkBuild(checkpoint.engineFingerprint, file);
      return checkpoint;
    } catch (error) {
      if (!isDeepDefenseError(error) || error.code === 'STORAGE_FAILED') throw error;
      // The same steps lead to the same weights.
      const why = `the weights that it goes on from are not here (${error.parts.what}); they are computed once more`;
      this.#logger.warn({ trial, rung }, why);
    }
    const temporary = `${runFolder}.origin`;
    await rm(temporary, { recursive: true, force: true });
    const fork = origin.origin === undefined ? undefined : await this.#stateOf(origin.origin, { root, runFolder: temporary, gang }, signal);
    await this.#runUntil(epochs, { gang, config, trial, runFolder: temporary, resume: undefined, resumePath: undefined, fork }, signal);
    const { checkpoint } = await loadNewestCheckpoint(join(temporary, 'checkpoints'), { config, datasetHash });
    await rm(temporary, { recursive: true, force: true });
    return checkpoint;
  }

  /** Trains until so many epochs with the workers of a gang in this process. */
  async #runUntil(epochs: number, { trial, ...start }: TrialStart, signal: AbortSignal): Promise<RunResult> {
    const { placement, metrics, clock, traces } = this.#options;
    signal.throwIfAborted();
    const result = await runGang({
      ...start,
      runId: `trial-${trial.slice(0, 16)}`,
      dataset: await this.#open(start.config.data),
      untilEpochs: epochs,
      placement,
      logger: this.#logger,
      traces,
      traceparent: clock.traceparent,
      metrics: metrics.trial,
      workerMetrics: metrics.compute,
      onEvent: (event) => {
        if (event.kind === 'step' || (event.kind === 'worker' && event.change === 'ready')) clock.enter('training');
        else if (event.kind === 'evaluation-progress' || event.kind === 'evaluation') clock.enter('attacking');
      },
      signal,
    });
    if (signal.aborted)
      throw new DeepDefenseError('INTERRUPTED', { what: `trial ${trial.slice(0, 16)} was stopped after step ${result.steps}` });
    return result;
  }

  /** The config with the data where this machine has them. */
  #here(config: Config): Config {
    const { dataPath = config.data.path } = this.#options;
    return { ...config, data: { ...config.data, path: dataPath } };
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

function taskResult(result: TrialResult): TaskResult {
  return { result: JSON.stringify(result), diverged: result.error !== undefined };
}

/** Figures of a measurement by name. */
function detailsOf({ cleanAccuracy, robust }: RunResult): Record<string, number> {
  const details: Record<string, number> = cleanAccuracy === null ? {} : { clean: cleanAccuracy };
  for (const { attack, epsLinf, accuracy } of robust) details[detailName(attack, epsLinf)] = accuracy;
  // Of one attack alone the worst case is its own.
  for (const { epsLinf, accuracy } of robust) details[detailName('worst-case', epsLinf)] ??= accuracy;
  return details;
}
