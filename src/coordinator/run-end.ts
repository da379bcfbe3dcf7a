/** @file How a run ends: pulled to its end, it leaves its weights and result.json, tells its workers and its journal, and closes what it used. */
import { join } from 'node:path';
import { DeepDefenseError, isDeepDefenseError, writeFileAtomic } from '../core/index.ts';
import { weightsToUse } from '../optimizers/index.ts';
import type { Logger } from '../telemetry/index.ts';
import { parametersHash } from './checkpoint.ts';
import type { EventChannel } from './event-channel.ts';
import type { PoolTally } from './pool-watcher.ts';
import { type RunOutcome, runTraining } from './run.ts';
import type { RunContext } from './run-context.ts';
import type { ForkPoint, RunEvent, RunResult } from './run-events.ts';
import { writeWeights } from './weights-file.ts';

export interface RunEndOptions {
  readonly runFolder: string;
  readonly dataset: { readonly name: string; readonly contentHash: string };
  /** After a stop or an error that isn't the run's own, workers wait for the run's next process, in place of ending. */
  readonly hasSuccessor?: boolean | undefined;
  readonly logger: Logger;
}

/** What this process has made of the run, besides its context. */
export interface RunInProgress {
  /** Monotonic. */
  readonly startedAtMs: number;
  readonly tally: Readonly<PoolTally>;
  readonly channel: EventChannel<RunEvent>;
  readonly forkedFrom: ForkPoint | undefined;
  /** Closes servers, journal and lock, after the last word to workers. */
  close(state: 'completed' | 'stopped' | 'failed', reason: string): Promise<void>;
}

/**
 * Pulls the run to its end and writes what it leaves.
 * @throws DeepDefenseError that ended the run, once everything is closed
 */
export async function runToEnd(context: RunContext, options: RunEndOptions, running: RunInProgress): Promise<RunResult> {
  const { pool, stop } = context;
  try {
    const outcome = await pull(context, running.channel);
    const result = await writeResult(context, outcome, options, running);
    const reason = stop.requested
      ? stop.reason
      : outcome.state === 'stopped'
        ? 'the epochs asked for are done'
        : 'all steps and evaluations are done';
    if (outcome.state === 'stopped' && options.hasSuccessor === true) pool.suspend(reason);
    else pool.finish(outcome.state, reason);
    recordEnd(context, outcome.state, reason);
    await context.ledger.flush();
    await running.close(outcome.state, reason);
    return result;
  } catch (cause) {
    const error = isDeepDefenseError(cause)
      ? cause
      : new DeepDefenseError('INTERNAL', { what: cause instanceof Error ? cause.message : String(cause), cause });
    // A disk that is full may have room a moment later: the workers wait for the next coordinator as after a crash.
    if (error.code === 'STORAGE_FAILED' || (options.hasSuccessor === true && error.code !== 'NON_FINITE_LOSS'))
      pool.suspend(error.parts.what);
    else pool.finish('failed', `${error.code}: ${error.parts.what}`);
    recordEnd(context, 'failed', `${error.code}: ${error.message}`);
    // The error that ended the run is the one to report, even when closing fails too.
    await running
      .close('failed', `${error.code}: ${error.parts.what}`)
      .catch((failure: unknown) => options.logger.error({ err: failure }, 'closing failed'));
    throw error;
  }
}

async function pull(context: RunContext, channel: EventChannel<RunEvent>): Promise<RunOutcome> {
  const run = runTraining(context);
  let next = await run.next();
  while (next.done !== true) {
    channel.push(next.value);
    next = await run.next();
  }
  return next.value;
}

/** Writes the weights, where the run has any, and result.json. */
async function writeResult(
  context: RunContext,
  outcome: RunOutcome,
  { runFolder, dataset }: RunEndOptions,
  { startedAtMs, tally, forkedFrom }: RunInProgress,
): Promise<RunResult> {
  const { config, state, plan, pool } = context;
  const weightsSha256 = hashOf(weightsToUse(state.parameters, state.optimizer));
  const weightsPath = weightsSha256 === '' ? '' : join(runFolder, 'weights.safetensors');
  if (weightsPath !== '') await writeWeights(weightsPath, context);
  const result: RunResult = {
    state: outcome.state,
    runId: context.runId,
    runFolder,
    steps: state.step,
    epochs: plan.epochsAfter(state.step),
    weightsSha256,
    weightsPath,
    cleanAccuracy: outcome.cleanAccuracy,
    robust: outcome.robust,
    samplesPerSecond: state.trainedSeconds === 0 ? 0 : state.trainedSamples / state.trainedSeconds,
    engine: pool.membership.engineFingerprint ?? '',
    dataset: dataset.name,
    datasetHash: dataset.contentHash,
    seconds: (performance.now() - startedAtMs) / 1000,
    workers: { ...tally },
    goodput: pool.goodput(),
    config,
    ...(forkedFrom !== undefined && { forkedFrom }),
  };
  await writeFileAtomic(join(runFolder, 'result.json'), `${JSON.stringify(result, undefined, 2)}\n`);
  return result;
}

function recordEnd({ state, pool, ledger }: RunContext, ended: 'completed' | 'stopped' | 'failed', reason: string): void {
  const parametersSha256 = hashOf(state.parameters);
  ledger.record({ type: 'run-finished', state: ended, reason, steps: state.step, parametersSha256, goodput: pool.goodputSoFar() });
}

/** Empty for parameters that were never made. */
function hashOf(parameters: Float32Array): string {
  return parameters.length === 0 ? '' : parametersHash(parameters);
}
