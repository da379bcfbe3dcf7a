/**
 * @file A run as nested generators: run > epoch > step. Each yields progress and can be ended by its caller between two yields; the
 * state that they leave is always that after a committed step.
 */
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import { epochMs } from '../telemetry/index.ts';
import type { EvaluationName } from '../config/index.ts';
import { startVector, weightsToUse } from '../optimizers/index.ts';
import { parametersHash } from './checkpoint.ts';
import { EvaluationQueue } from './evaluation-queue.ts';
import { Initialisation } from './initialisation.ts';
import type { RunContext } from './run-context.ts';
import type { RobustResult, RunEvent } from './run-events.ts';
import { StepRunner, writeCheckpoint } from './train-step.ts';

/** How a run ended. */
export interface RunOutcome {
  readonly state: 'completed' | 'stopped';
  readonly cleanAccuracy: number | null;
  readonly robust: readonly RobustResult[];
}

/**
 * Trains from `context.state` to the end of the plan, or to where this process is to end, evaluates, and writes checkpoints on the way.
 * @returns `stopped` when {@link RunContext.stop} was requested: at most the step in progress is finished, then a checkpoint written; also
 * when only a part of the plan was asked for.
 * @throws DeepDefenseError WORKERS_LOST or the workers' error, after writing a checkpoint; NON_FINITE_LOSS; STORAGE_FAILED
 */
export async function* runTraining(context: RunContext): AsyncGenerator<RunEvent, RunOutcome, undefined> {
  const { state, plan, stop } = context;
  try {
    if (state.parameters.length === 0) await initialise(context);
    context.pool.publish(state.step, startVector(context.config, state.parameters, state.optimizer));
    // A fork is no more dependent on where it comes from.
    if (state.step > 0 && state.lastCheckpointStep === undefined) yield* checkpointIfTrained(context);
    const steps = new StepRunner(context);
    while (state.step < plan.endStep && !stop.requested) yield* runEpoch(context, steps);
    if (!stop.requested) return yield* finalEvaluation(context);
  } catch (error) {
    if (!isDeepDefenseError(error)) throw error;
    const stopped = error.code === 'INTERRUPTED' && stop.requested;
    // Parameters that led to a non-finite loss are no good, and a full disk takes no checkpoint.
    if (!stopped && error.code !== 'NON_FINITE_LOSS' && error.code !== 'STORAGE_FAILED') yield* checkpointIfTrained(context);
    if (!stopped) throw error;
  }
  yield* checkpointIfTrained(context);
  return { state: 'stopped', cleanAccuracy: state.cleanAccuracy, robust: [] };
}

/** Steps to the end of the epoch, or of the run where that comes first. */
async function* runEpoch(context: RunContext, steps: StepRunner): AsyncGenerator<RunEvent, void, undefined> {
  const { state, plan, stop } = context;
  while (!stop.requested) {
    yield await steps.run();
    const done = state.step;
    if (plan.evaluatesAfter(done) && !stop.requested) yield await evaluateClean(context);
    if (plan.checkpointsAfter(done) || isCheckpointOld(context)) yield* checkpointIfTrained(context);
    if (plan.endsEpoch(done) || done >= plan.endStep) return;
  }
}

/** The first ready worker computes version 0 from the seed. */
async function initialise({ pool, parameterCount, vectorLength, state, ledger, logger }: RunContext): Promise<void> {
  const job = new Initialisation(vectorLength);
  await pool.run(job);
  if (job.parameters === undefined) throw new DeepDefenseError('INTERNAL', { what: 'the initialisation ended without parameters' });
  state.parameters = job.parameters.subarray(0, parameterCount);
  ledger.record({ type: 'run-initialised', parametersSha256: parametersHash(state.parameters) });
  logger.debug({ parameters: parameterCount }, 'initial parameters are here');
}

/** Share of the run time that checkpoints which no step asks for may take. */
const CHECKPOINT_SHARE = 0.05;

function isCheckpointOld({ config, state }: RunContext): boolean {
  const seconds = (performance.now() - state.lastCheckpointAtMs) / 1000;
  return seconds >= Math.max(config.checkpoint.everySeconds, state.lastCheckpointSeconds / CHECKPOINT_SHARE);
}

async function* checkpointIfTrained(context: RunContext): AsyncGenerator<RunEvent, void, undefined> {
  if (context.state.parameters.length === 0) return;
  const event = await context.pool.whileCheckpointing(() => writeCheckpoint(context));
  if (event !== undefined) yield event;
}

/** Clean accuracy on all test images, then each attack at each radius on the first `robustSamples`. */
async function* finalEvaluation(context: RunContext): AsyncGenerator<RunEvent, RunOutcome, undefined> {
  const { config, state, plan, testSamples } = context;
  const clean = await evaluate(context, 'clean', 0, testSamples);
  yield clean.event;
  state.cleanAccuracy = clean.event.accuracy;
  // The last checkpoint was written before its accuracy was known; now it counts in the choice of the best.
  state.lastCheckpointStep = undefined;
  yield* checkpointIfTrained(context);
  const samples = Math.min(config.evaluation.robustSamples, testSamples);
  const cleanCorrect = sum(clean.correct.subarray(0, samples));
  const robust: RobustResult[] = [];
  const { attacks, epsLinf: radii } = config.evaluation;
  const withstood = new Map(radii.map((epsLinf) => [epsLinf, new Uint8Array(samples).fill(1)]));
  for (const attack of attacks) {
    for (const epsLinf of radii) {
      const { event, correct } = await evaluate(context, attack, epsLinf, samples);
      yield event;
      robust.push({ attack, epsLinf, accuracy: event.accuracy, samples, cleanCorrect });
      const all = withstood.get(epsLinf) as Uint8Array;
      for (const [image, value] of correct.entries()) all[image] = value === 1 ? (all[image] as number) : 0;
    }
  }
  if (attacks.length > 1)
    for (const [epsLinf, all] of withstood)
      robust.push({ attack: 'worst-case', epsLinf, accuracy: sum(all) / samples, samples, cleanCorrect });
  return { state: state.step < plan.totalSteps ? 'stopped' : 'completed', cleanAccuracy: clean.event.accuracy, robust };
}

async function evaluateClean(context: RunContext): Promise<RunEvent> {
  const { event } = await evaluate(context, 'clean', 0, context.testSamples);
  context.state.cleanAccuracy = event.accuracy;
  return event;
}

/** Averages of the parameters travel as versions of their own, beyond all steps. */
const FIRST_AVERAGE_VERSION = 2 ** 31;

/** One pass over the first `samples` test images with the current parameters, or with their average. */
async function evaluate(
  { config, state, pool, ledger, metrics, emit, stop, span }: RunContext,
  attack: EvaluationName,
  epsLinf: number,
  samples: number,
): Promise<{ readonly event: Extract<RunEvent, { kind: 'evaluation' }>; readonly correct: Uint8Array }> {
  if (stop.requested) throw new DeepDefenseError('INTERRUPTED', { what: `stopped before the ${attack} evaluation: ${stop.reason}` });
  const startMs = performance.now();
  const weights = weightsToUse(state.parameters, state.optimizer);
  const isAverage = weights !== state.parameters;
  const parameterVersion = isAverage ? FIRST_AVERAGE_VERSION + state.step : state.step;
  if (isAverage) pool.publish(parameterVersion, startVector(config, weights, state.optimizer));
  const queue = new EvaluationQueue({
    attack,
    epsLinf,
    samples,
    batchSize: config.evaluation.batchSize,
    parameterVersion,
    onProgress: (done, total) => emit({ kind: 'evaluation-progress', attack, epsLinf, done, total }),
  });
  await pool.run(queue);
  if (isAverage) pool.publish(state.step, startVector(config, state.parameters, state.optimizer));
  const seconds = (performance.now() - startMs) / 1000;
  const accuracy = sum(queue.correct) / samples;
  const { meanLoss } = queue;
  if (!Number.isFinite(meanLoss)) {
    throw new DeepDefenseError('NON_FINITE_LOSS', {
      what: `the ${attack} evaluation after step ${state.step} has a loss that is not finite`,
      got: `mean loss ${meanLoss}, accuracy ${accuracy}, last checkpoint: ${state.lastCheckpoint ?? 'none'}`,
      todo: 'lower optimizer.learningRate, or add schedule.warmup',
      fields: { step: state.step, attack, epsLinf },
    });
  }
  ledger.record({ type: 'evaluation-finished', step: state.step, attack, epsLinf, samples, accuracy, meanLoss, seconds });
  const endMs = epochMs();
  span.part('evaluation', { startMs: endMs - seconds * 1000, endMs }, { step: state.step, attack, eps: epsLinf, samples });
  metrics.evaluationSeconds.observe({ attack }, seconds);
  metrics.accuracy.set({ attack, eps: String(epsLinf) }, accuracy);
  return { event: { kind: 'evaluation', step: state.step, attack, epsLinf, samples, accuracy, meanLoss, seconds }, correct: queue.correct };
}

function sum(values: Uint8Array): number {
  return values.reduce((total, value) => total + value, 0);
}
