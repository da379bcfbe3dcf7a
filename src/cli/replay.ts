/** @file Computes steps of a run once more, from its checkpoints or its seed, and compares what they lead to with the journal. */
import { parameterSpecs } from '../config/index.ts';
import { checkpointFiles, createOptimizer, learningRateAt, loadCheckpoint, parametersHash, type RunHistory } from '../coordinator/index.ts';
import { DeepDefenseError, Random, sizeOf } from '../core/index.ts';
import { TreeReducer } from '../wire/index.ts';
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
  /** The chosen steps, ascending. */
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

/** Steps to compute one after the other. */
interface Stretch {
  readonly start: Start;
  readonly until: number;
}

/**
 * @throws DeepDefenseError PROTOCOL_FINGERPRINT when this machine's engine computes other bits than the run's; DATA_MISSING; ENGINE_*
 */
export async function replaySteps(options: ReplayOptions): Promise<ReplayReport> {
  const { history, checkpointFolder, count, seed, onProgress } = options;
  const files = await checkpointFiles(checkpointFolder);
  const starts: Start[] = [{ step: 0, path: undefined }, ...files.filter(({ step }) => step > 0)];
  const steps = chooseSteps(history.steps.length, starts, count, seed);
  const stretches = planStretches(starts, steps);
  const total = stretches.reduce((sum, { start, until }) => sum + until - start.step, 0);
  const compute = createThreadComputeClient();
  try {
    const engine = await open(compute, options);
    const findings: string[] = [];
    let computed = 0;
    for (const stretch of stretches)
      await replayStretch(compute, history, stretch, findings, () => {
        onProgress?.(computed, total);
        computed += 1;
      });
    return { steps, computed, engine, findings };
  } finally {
    await compute.dispose();
  }
}

/** Random steps that lie close enough behind a start. */
function chooseSteps(committed: number, starts: readonly Start[], count: number, seed: number): number[] {
  const reachable = Array.from({ length: committed }, (_, step) => step).filter((step) => {
    const start = startOf(starts, step);
    return step - start.step < MOST_STEPS_FROM_CHECKPOINT;
  });
  const shuffled = [...new Random('order', seed).permutation(reachable.length)].map((i) => reachable[i] as number);
  return shuffled.slice(0, count).sort((a, b) => a - b);
}

/** The latest start at or before a step. */
const startOf = (starts: readonly Start[], step: number): Start => starts.findLast((start) => start.step <= step) as Start;

function planStretches(starts: readonly Start[], steps: readonly number[]): Stretch[] {
  const until = new Map<Start, number>();
  for (const step of steps) until.set(startOf(starts, step), step + 1);
  return [...until].map(([start, end]) => ({ start, until: end }));
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
  { start, until }: Stretch,
  findings: string[],
  onStep: () => void,
): Promise<void> {
  const { config, totalSteps } = history;
  const specs = parameterSpecs(config.model.name);
  const length = specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const optimizer = createOptimizer(config, specs);
  let parameters: Float32Array;
  if (start.path === undefined) parameters = await compute.initialParameters();
  else {
    const checkpoint = await loadCheckpoint(start.path);
    parameters = checkpoint.parameters;
    optimizer.restore(checkpoint.optimizer.slots, checkpoint.optimizer.updates);
  }
  for (let step = start.step; step < until; step++) {
    onStep();
    const recorded = history.steps[step];
    if (recorded === undefined) return;
    const { shards } = config.train;
    const reducer = new TreeReducer({ root: { first: 0, count: shards }, length, metrics: 0, precision: config.train.gradients });
    await compute.setParameters(step, parameters.slice());
    for (const { first, count, workerId, gradientsSha256 } of recorded.blocks) {
      const block = { first, count };
      const { gradients } = await compute.trainBlock(step, recorded.position, block, recorded.gfaScale);
      if (parametersHash(gradients) !== gradientsSha256)
        findings.push(`step ${step}, shards [${first}, ${first + count}): worker ${workerId} answered with other gradients than they have`);
      reducer.add(block, gradients, []);
    }
    optimizer.apply(parameters, reducer.takeMean().gradients, learningRateAt(config, step, totalSteps));
    const own = parametersHash(parameters);
    if (own === recorded.parametersSha256) continue;
    findings.push(`step ${step}: leads to parameters ${own.slice(0, 12)}, recorded are ${recorded.parametersSha256.slice(0, 12)}`);
    // All that follows would differ as well.
    return;
  }
}
