/** @file From leases to the new parameters on their way to the workers: one training step, or with local steps all up to a synchronisation. */
import { collectYoungObjects, DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import { startVector, type UpdateReport } from '../optimizers/index.ts';
import { recordGfaMetrics, type StepPhase } from '../telemetry/index.ts';
import type { StepSettings } from '../wire/index.ts';
import { parametersHash } from './checkpoint.ts';
import type { RunContext } from './run-context.ts';
import type { RunEvent, StepEvent } from './run-events.ts';
import { scheduleOf } from './schedule.ts';
import { StepBarrier } from './step-barrier.ts';

/** Samples per second are averaged over about this many steps. */
const RATE_STEPS = 10;

/** Runs the steps of one run, those between two synchronisations at a time. */
export class StepRunner {
  readonly #context: RunContext;
  /** Exponential means, so that a hiccup doesn't rule the display. */
  #meanSamples = 0;
  #meanSeconds = 0;

  constructor(context: RunContext) {
    this.#context = context;
  }

  /**
   * Runs the steps up to the next synchronisation: parameters, optimiser and `state.step` are those after it when it resolves, and untouched when it rejects.
   * @throws DeepDefenseError NON_FINITE_LOSS with a diagnosis; what {@link WorkerPool.run} throws; STORAGE_FAILED
   */
  async run(): Promise<StepEvent> {
    const { config, plan, state, pool, ledger, math, vectors } = this.#context;
    const { step } = state;
    ledger.check();
    const schedule = scheduleOf(config, step, plan.stepsFrom(step), plan.totalSteps);
    const [settings] = schedule as [StepSettings];
    const samples = schedule.length * plan.batchSize;
    const barrier = new StepBarrier({
      step,
      firstPosition: step * plan.batchSize,
      schedule,
      shards: config.train.shards,
      vectorLength: this.#context.vectorLength,
      metricCount: () => pool.membership.metricNames?.length ?? 0,
      minWorkers: config.cluster.minWorkers,
      math,
      precision: config.train.gradients,
      adopt: (vector) => vectors.adopt(vector),
      recycle: (vector) => vectors.give(vector),
    });
    const startMs = performance.now();
    await pool.run(barrier);
    const leasedMs = barrier.startedAtMs ?? startMs;
    const collectedMs = performance.now();
    const arrivalReduceMs = barrier.reduceMs;
    const { gradients, metricSums } = barrier.takeMean();
    const metrics = this.#named(metricSums);
    const reducedMs = performance.now();
    const update = this.#update(gradients, schedule, metrics);
    vectors.give(gradients);
    const updatedMs = performance.now();
    pool.publish(state.step, startVector(config, state.parameters, state.optimizer));
    const sentMs = performance.now();

    const phases: Readonly<Partial<Record<StepPhase, number>>> = {
      wait_workers: leasedMs - startMs,
      compute: collectedMs - leasedMs - arrivalReduceMs,
      reduce: arrivalReduceMs + reducedMs - collectedMs,
      update: updatedMs - reducedMs,
      send: sentMs - updatedMs,
    };
    const seconds = (sentMs - startMs) / 1000;
    const busySeconds = (sentMs - leasedMs) / 1000;
    state.trainedSamples += samples;
    state.trainedSeconds += busySeconds;
    const event = this.#event({ samples, learningRate: settings.learningRate, update, metrics, seconds, busySeconds });
    this.#record(event, phases, barrier, { step, samples, gfaScale: settings.gfaScale });
    // The workers compute now.
    setImmediate(collectYoungObjects);
    return event;
  }

  /** Applies the update or ends the run with a diagnosis. */
  #update(gradients: Float32Array, schedule: readonly StepSettings[], metrics: ReadonlyMap<string, number>): UpdateReport {
    const { state } = this.#context;
    const [{ learningRate }] = schedule as [StepSettings];
    const loss = metrics.get('loss') ?? Number.NaN;
    if (!Number.isFinite(loss)) throw this.#diagnosis(learningRate, metrics, gradients, undefined);
    let update: UpdateReport;
    try {
      update = state.optimizer.apply(state.parameters, gradients, learningRate);
    } catch (error) {
      if (isDeepDefenseError(error) && error.code === 'NON_FINITE_LOSS') throw this.#diagnosis(learningRate, metrics, gradients, error);
      throw error;
    }
    state.step += schedule.length;
    state.cleanAccuracy = null;
    return update;
  }

  #diagnosis(
    learningRate: number,
    metrics: ReadonlyMap<string, number>,
    gradients: Float32Array,
    cause: DeepDefenseError | undefined,
  ): DeepDefenseError {
    const { state, metrics: telemetry } = this.#context;
    telemetry.nonFinite.inc();
    const bad = [...metrics].filter(([, value]) => !Number.isFinite(value)).map(([name]) => name);
    const loss = metrics.get('loss') ?? Number.NaN;
    const gradientNorm = Math.sqrt(gradients.reduce((sum, value) => sum + value * value, 0));
    const checkpoint = state.lastCheckpoint ?? 'none';
    return new DeepDefenseError('NON_FINITE_LOSS', {
      what: `training diverged at step ${state.step}: ${cause === undefined ? 'the loss is not finite' : cause.parts.what}`,
      got: [
        `loss ${loss}`,
        `gradient norm ${gradientNorm}`,
        `learning rate ${learningRate}`,
        `non-finite metrics: ${bad.length === 0 ? 'none' : bad.join(', ')}`,
        `last checkpoint: ${checkpoint}`,
      ].join('; '),
      todo: 'lower optimizer.learningRate or strategy.gfa.strength, add schedule.warmup, or set optimizer.gradientClipNorm; a checkpoint from before is good to resume from',
      fields: { step: state.step, loss: String(loss), gradientNorm: String(gradientNorm), learningRate, nonFiniteMetrics: bad, checkpoint },
      ...(cause === undefined ? {} : { cause }),
    });
  }

  #named(metricSums: Float64Array): ReadonlyMap<string, number> {
    const names = this.#context.pool.membership.metricNames ?? [];
    return new Map(names.map((name, index) => [name, metricSums[index] ?? Number.NaN]));
  }

  #event(done: {
    readonly samples: number;
    readonly learningRate: number;
    readonly update: UpdateReport;
    readonly metrics: ReadonlyMap<string, number>;
    readonly seconds: number;
    readonly busySeconds: number;
  }): StepEvent {
    const { plan, state, pool } = this.#context;
    const keep = this.#meanSeconds === 0 ? 0 : 1 - 1 / RATE_STEPS;
    this.#meanSamples = keep * this.#meanSamples + (1 - keep) * done.samples;
    this.#meanSeconds = keep * this.#meanSeconds + (1 - keep) * done.busySeconds;
    const metrics = Object.fromEntries([...done.metrics].filter(([, value]) => Number.isFinite(value)));
    return {
      kind: 'step',
      step: state.step,
      totalSteps: plan.totalSteps,
      epoch: plan.epochsAfter(state.step),
      loss: done.metrics.get('loss') ?? Number.NaN,
      learningRate: done.learningRate,
      gradientNorm: done.update.gradientNorm,
      metrics,
      samplesPerSecond: this.#meanSamples / this.#meanSeconds,
      seconds: done.seconds,
      readyWorkers: pool.membership.ready().length,
    };
  }

  #record(
    event: StepEvent,
    phases: Readonly<Partial<Record<StepPhase, number>>>,
    barrier: StepBarrier,
    { step, samples, gfaScale }: { readonly step: number; readonly samples: number; readonly gfaScale: number },
  ): void {
    const { plan, state, ledger, metrics } = this.#context;
    ledger.record({
      type: 'step-committed',
      step,
      epoch: Math.floor(plan.epochsAfter(step)),
      position: step * plan.batchSize,
      samples,
      loss: event.loss,
      metrics: event.metrics,
      learningRate: event.learningRate,
      gradientNorm: event.gradientNorm,
      gfaScale,
      blocks: barrier.blocks,
      // The workers compute already.
      parametersSha256: parametersHash(state.parameters),
      seconds: event.seconds,
      computeSeconds: Math.round(barrier.computeMs * 1000) / 1e6,
    });
    for (const [phase, milliseconds] of Object.entries(phases))
      metrics.stepPhaseSeconds.observe({ phase }, Math.max(0, milliseconds) / 1000);
    metrics.stepSeconds.observe({}, event.seconds);
    const { result: behind } = barrier.straggling;
    if (behind !== undefined) metrics.stragglerSeconds.observe({}, behind.seconds, { worker: behind.worker });
    metrics.step.set(event.step);
    metrics.epoch.set(event.epoch);
    metrics.steps.inc(event.step - step);
    metrics.samples.inc(samples);
    metrics.samplesPerSecond.set(event.samplesPerSecond);
    metrics.loss.set(event.loss);
    metrics.lossTerm.set(event.metrics.lossTerm ?? event.loss);
    if (event.metrics.accuracy !== undefined) metrics.trainAccuracy.set(event.metrics.accuracy);
    metrics.learningRate.set(event.learningRate);
    metrics.gradientNorm.set(event.gradientNorm);
    recordGfaMetrics(metrics, event.metrics);
  }
}

/** Writes a checkpoint of the state between two steps; nothing when this step's is there already. */
export async function writeCheckpoint({
  config,
  runId,
  datasetHash,
  plan,
  state,
  pool,
  ledger,
  checkpoints,
  metrics,
}: RunContext): Promise<Extract<RunEvent, { kind: 'checkpoint' }> | undefined> {
  if (state.lastCheckpointStep === state.step) return undefined;
  // A checkpoint must not outlive the lines that lead to it, also when the machine stops.
  await ledger.sync();
  const { sequence, hash } = ledger.position;
  const receipt = await checkpoints.write({
    runId,
    step: state.step,
    position: state.step * plan.batchSize,
    config,
    datasetHash,
    engineFingerprint: pool.membership.engineFingerprint ?? '',
    journalSequence: sequence,
    journalHash: hash,
    cleanAccuracy: state.cleanAccuracy,
    parameters: state.parameters,
    optimizer: { updates: state.optimizer.updates, slots: new Map(state.optimizer.slots.map(({ name, values }) => [name, values])) },
  });
  state.lastCheckpoint = receipt.path;
  state.lastCheckpointStep = state.step;
  state.lastCheckpointAtMs = performance.now();
  state.lastCheckpointSeconds = receipt.seconds;
  const checkpoint = `checkpoints/${receipt.path.split(/[\\/]/).at(-1)}`;
  const { bytes, seconds, parametersSha256 } = receipt;
  ledger.record({
    type: 'checkpoint-written',
    step: state.step,
    checkpoint,
    bytes,
    seconds,
    parametersSha256: parametersSha256 || parametersHash(state.parameters),
    goodput: pool.goodputSoFar(),
  });
  metrics.checkpointSeconds.observe({}, seconds);
  metrics.stepPhaseSeconds.observe({ phase: 'checkpoint' }, seconds);
  metrics.checkpointBytes.set(bytes);
  metrics.lastCheckpoint.set(Date.now() / 1000);
  return { kind: 'checkpoint', step: state.step, path: receipt.path, bytes, seconds };
}
