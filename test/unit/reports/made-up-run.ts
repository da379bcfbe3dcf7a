/** @file Run folders with invented but schema-true content, for tests only. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configSchema } from '../../../src/config/index.ts';
import { FileJournal, type JournalEvent } from '../../../src/journal/index.ts';
import type { RunRecord } from '../../../src/reports/index.ts';

export interface MadeUpRun {
  readonly strategy: 'benchmark' | 'deep' | 'adversarial';
  readonly seed?: number;
  readonly steps?: number;
  readonly datasetName?: string;
  /** Final accuracies; clean at least. */
  readonly clean?: number;
  readonly robust?: readonly { attack: 'fgsm' | 'pgd'; epsLinf: number; accuracy: number; samples: number }[];
  /** Leaves out result.json and the last event, as a run that died. */
  readonly unfinished?: boolean;
  /** Events put in after the training steps. */
  readonly extraEvents?: readonly JournalEvent[];
}

export const MADE_UP_HASH = 'ab'.repeat(32);

/** A committed step of 128 samples with plausible metrics. */
export function madeUpStep(step: number, strategy: MadeUpRun['strategy'], loss = 2.3 * Math.exp(-step / 150) + 0.2): JournalEvent {
  const wave = 0.04 * Math.sin(step * 1.7) + 0.03 * Math.sin(step * 0.61);
  const lossTerm = Math.max(0.01, loss + wave);
  const metrics: Record<string, number> = { loss: lossTerm, accuracy: Math.min(1, 1 - lossTerm / 2.6), lossTerm };
  if (strategy === 'deep')
    ['conv1', 'conv2', 'conv3'].forEach((layer, index) => {
      const decay = Math.exp(-step / (60 * (index + 1)));
      metrics[`gfa/${layer}/term`] = 0.02 + 0.05 * decay;
      metrics[`gfa/${layer}/cosine`] = -0.05 * (index + 1) * (1 - decay) + wave / 10;
      metrics[`gfa/${layer}/absCosine`] = 0.02 + 0.08 * (index + 1) * (1 - decay);
      metrics[`gfa/${layer}/gradientNorm`] = 0.3 * decay + 0.001 * (index + 1);
      metrics[`gfa/${layer}/zeroGradient`] = 0;
      metrics.loss = (metrics.loss as number) + 0.3 * (metrics[`gfa/${layer}/term`] as number);
    });
  return {
    type: 'step-committed',
    step,
    epoch: Math.floor((step * 128) / 5000),
    position: step * 128,
    samples: 128,
    loss: metrics.loss as number,
    metrics,
    learningRate: 0.001,
    gradientNorm: 1.5,
    gfaScale: 1,
    blocks: [{ first: 0, count: 8, workerId: 'host-1', gradientsSha256: 'b'.repeat(64) }],
    parametersSha256: 'c'.repeat(64),
    seconds: 0.2,
  };
}

export function madeUpEvaluation(
  step: number,
  attack: 'clean' | 'fgsm' | 'pgd',
  epsLinf: number,
  accuracy: number,
  samples: number,
): JournalEvent {
  return { type: 'evaluation-finished', step, attack, epsLinf, accuracy, samples, meanLoss: 1, seconds: 1 };
}

/** Writes journal.jsonl and, unless unfinished, result.json; returns the folder. */
export async function writeMadeUpRun(parent: string, run: MadeUpRun): Promise<string> {
  const { strategy, seed = 1, steps = 400, datasetName = 'CIFAR-10 (JPEG-75)', clean = 0.7, robust = [] } = run;
  const runId = `quick-${strategy}-${seed}-20251122-190000`;
  const folder = join(parent, runId);
  await mkdir(folder, { recursive: true });
  const config = configSchema.parse({ name: `quick-${strategy}`, seed, strategy: { name: strategy } });
  let nowMs = Date.parse('2025-11-22T19:00:00Z');
  const { journal } = await FileJournal.open(join(folder, 'journal.jsonl'), {
    fsync: 'never',
    clock: { nowMs: () => (nowMs += 200), setTimer: () => () => {} },
  });
  const events: JournalEvent[] = [
    {
      type: 'run-started',
      runId,
      packageVersion: '0.1.0',
      config,
      totalSteps: steps,
      samplesPerEpoch: 5000,
      datasetName,
      datasetHash: MADE_UP_HASH,
      sampleHashesSha256: MADE_UP_HASH,
      schemaHash: 'cd'.repeat(32),
    },
    { type: 'worker-joined', workerId: 'host-1', host: 'host', engineFingerprint: 'onnx:cpu made-up' },
  ];
  for (let step = 0; step < steps; step++) {
    events.push(madeUpStep(step, strategy));
    if ((step + 1) % 100 === 0 && step + 1 < steps)
      events.push(madeUpEvaluation(step + 1, 'clean', 0, clean * (1 - Math.exp(-step / 120)), 10000));
  }
  events.push(madeUpEvaluation(steps, 'clean', 0, clean, 10000), ...(run.extraEvents ?? []));
  for (const one of robust) events.push(madeUpEvaluation(steps, one.attack, one.epsLinf, one.accuracy, one.samples));
  if (run.unfinished !== true)
    events.push({ type: 'run-finished', state: 'completed', reason: 'all steps done', steps, parametersSha256: MADE_UP_HASH });
  for (const event of events) await journal.append(event);
  await journal.close();
  if (run.unfinished === true) return folder;
  const result = {
    state: 'completed',
    runId,
    runFolder: folder,
    steps,
    epochs: (steps * 128) / 5000,
    weightsSha256: MADE_UP_HASH,
    weightsPath: join(folder, 'weights.safetensors'),
    cleanAccuracy: clean,
    robust,
    samplesPerSecond: 512.34,
    engine: 'onnx:cpu made-up',
    dataset: datasetName,
    datasetHash: MADE_UP_HASH,
    seconds: 81.7,
    workers: {},
    config,
  };
  await writeFile(join(folder, 'result.json'), JSON.stringify(result));
  return folder;
}

/** A run record with nothing measured. */
export const bareRun = (fields: Partial<RunRecord> = {}): RunRecord => ({
  folder: 'runs/a',
  runId: 'a-1',
  name: 'a',
  state: 'completed',
  strategy: 'benchmark',
  model: 'cnn3',
  seed: 1,
  dataset: 'CIFAR-10',
  datasetHash: 'ab'.repeat(32),
  engine: 'onnx:cpu',
  steps: 0,
  epochs: 0,
  environment: {},
  config: {},
  stepRecords: [],
  cleanHistory: [],
  finalAccuracies: [],
  warnings: [],
  ...fields,
});
