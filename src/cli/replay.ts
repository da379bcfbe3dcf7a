/** @file Computes steps of a run once more, from its checkpoints or its seed, and compares what they lead to with the journal. */
import { parameterSpecs } from '../config/index.ts';
import {
  checkpointFiles,
  type LedgerStep,
  loadCheckpoint,
  parametersHash,
  type RunHistory,
  scheduleOf,
  stepsAfter,
} from '../coordinator/index.ts';
import { DeepDefenseError, Random, sizeOf } from '../core/index.ts';
import { createRunOptimizer, startVector, vectorLength } from '../optimizers/index.ts';
import { type StepSettings, TreeReducer } from '../wire/index.ts';
import { type ComputeClient, createThreadComputeClient } from '../worker/index.ts';

export interface ReplayOptions {
  /** The run's checkpoints. */
  readonly checkpointFolder: string;
  readonly history: RunHistory;
  /** Path of the dataset; default: where a worker would look. */
  readonly dataPath: string | undefined;
  /** Steps to compare. */
  readonly count: number;
  /** Chooses the steps. */
  readonly seed: number;
  /** Called before each step that is computed. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface ReplayReport {
  /** The chosen steps, ascending; with local steps the first of each choice. */
  readonly steps: readonly number[];
  /** Steps that were computed, those on the way from a checkpoint included. */
  readonly computed: number;
  readonly engine: string;
  /** What differs, each naming its step. */
  readonly findings: readonly string[];
}

/** A step further behind its checkpoint is not chosen: all steps in between have to be computed. */
export const MOST_STEPS_FROM_CHECKPOINT = 25;

/** A state of the run that can be gone on from: after `step` steps. */
interface Start {
  readonly step: number;
  /** Undefined for the parameters that the seed begins with. */
  readonly path: string | undefined;
}

/** Records of the ledger to compute one after the other. */
interface Stretch {
  readonly start: Start;
  readonly records: readonly LedgerStep[];
}

/**
 * @throws DeepDefenseError PROTOCOL_FINGERPRINT when this machine's engine computes other bits than the run's; DATA_MISSING; ENGINE_*
 */
export async function replaySteps(options: ReplayOptions): Promise<ReplayReport> {
  const { history, checkpointFolder, count, seed, onProgress } = options;
  const files = await checkpointFiles(checkpointFolder);
  const fromSeed: Start[] = history.firstStep === 0 ? [{ step: 0, path: undefined }] : [];
  const starts: Start[] = [...fromSeed, ...files.filter(({ step }) => step > 0)];
  const chosen = chooseRecords(history.steps, starts, count, seed);
  const stretches = planStretches(history.steps, starts, chosen);
  const stepsOf = (record: LedgerStep) => stepsAfter(history, record) - record.step;
  const total = stretches.flatMap(({ records }) => records.map(stepsOf)).reduce((sum, steps) => sum + steps, 0);
  const compute = createThreadComputeClient();
  try {
    const engine = await open(compute, options);
    const findings: string[] = [];
    let computed = 0;
    for (const stretch of stretches)
      await replayStretch(compute, history, stretch, findings, (record) => {
        onProgress?.(computed, total);
        computed += stepsOf(record);
      });
    return { steps: chosen.map(({ step }) => step), computed, engine, findings };
  } finally {
    await compute.dispose();
  }
}

/** Random records that lie close enough behind a start. */
function chooseRecords(committed: readonly LedgerStep[], starts: readonly Start[], count: number, seed: number): LedgerStep[] {
  const reachable = committed.filter(({ step, blocks }) => {
    if (blocks === undefined) return false;
    const start = startOf(starts, step);
    return start !== undefined && step - start.step < MOST_STEPS_FROM_CHECKPOINT;
  });
  const shuffled = [...new Random('order', seed).permutation(reachable.length)].map((i) => reachable[i] as LedgerStep);
  return shuffled.slice(0, count).sort((a, b) => a.step - b.step);
}

/** The latest start at or before a step; a fork has none before its oldest checkpoint. */
const startOf = (starts: readonly Start[], step: number): Start | undefined => starts.findLast((start) => start.step <= step);

function planStretches(committed: readonly LedgerStep[], starts: readonly Start[], chosen: readonly LedgerStep[]): Stretch[] {
  const last = new Map<Start, number>();
  for (const { step } of chosen) last.set(startOf(starts, step) as Start, step);
  return [...last].map(([start, end]) => ({ start, records: committed.filter(({ step }) => step >= start.step && step <= end) }));
}

/** Data and engine as a worker has them; returns the engine's fingerprint. */
async function open(compute: ComputeClient, { history, dataPath }: ReplayOptions): Promise<string> {
  const { config, datasetHash, fingerprints } = history;
  const { found, notes } = await compute.openData({ source: config.data.source, contentHash: datasetHash, path: dataPath });
  if (!found) {
    throw new DeepDefenseError('DATA_MISSING', {
      what: 'the dataset of the run is not here, so its steps can not be computed again',
      expected: `content ${datasetHash.slice(0, 12)}`,
      got: notes.join('; '),
      todo: 'give its path with --data',
    });
  }
  const { fingerprint } = await compute.prepare(config);
  if (!fingerprints.includes(fingerprint)) {
    throw new DeepDefenseError('PROTOCOL_FINGERPRINT', {
      what: "this machine's engine computes other bits than the run's, so a replay proves nothing",
      expected: fingerprints.join(' or '),
      got: fingerprint,
      todo: 'replay on a machine of the kind that the run was made on',
    });
  }
  return fingerprint;
}

async function replayStretch(
  compute: ComputeClient,
  history: RunHistory,
  { start, records }: Stretch,
  findings: string[],
  onRecord: (record: LedgerStep) => void,
): Promise<void> {
  const { config, totalSteps } = history;
  const specs = parameterSpecs(config.model);
  const parameterCount = specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const length = vectorLength(config, parameterCount);
  const optimizer = createRunOptimizer(config, specs);
  let parameters: Float32Array;
  if (start.path === undefined) parameters = (await compute.initialParameters()).subarray(0, parameterCount);
  else {
    const checkpoint = await loadCheckpoint(start.path);
    parameters = checkpoint.parameters;
    optimizer.restore(checkpoint.optimizer.slots, checkpoint.optimizer.updates);
  }
  for (const recorded of records) {
    onRecord(recorded);
    const { step, position: firstPosition } = recorded;
    const schedule = scheduleOf(config, step, stepsAfter(history, recorded) - step, totalSteps);
    const { shards } = config.train;
    const reducer = new TreeReducer({ root: { first: 0, count: shards }, length, metrics: 0, precision: config.train.gradients });
    await compute.setParameters(step, startVector(config, parameters, optimizer).slice());
    for (const { first, count, workerId, gradientsSha256 } of recorded.blocks ?? []) {
      const block = { first, count };
      const { gradients } = await compute.trainBlock({ step, firstPosition, schedule }, block);
      if (parametersHash(gradients) !== gradientsSha256)
        findings.push(`step ${step}, shards [${first}, ${first + count}): worker ${workerId} answered with other gradients than they have`);
      reducer.add(block, gradients, []);
    }
    optimizer.apply(parameters, reducer.takeMean().gradients, (schedule[0] as StepSettings).learningRate);
    const own = parametersHash(parameters);
    if (own === recorded.parametersSha256) continue;
    findings.push(`step ${step}: leads to parameters ${own.slice(0, 12)}, recorded are ${recorded.parametersSha256.slice(0, 12)}`);
    // All that follows would differ as well.
    return;
  }
}
