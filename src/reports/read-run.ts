/** @file Reads a run folder: result.json where there is one, and the journal, which is the authority on what happened. */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { IN_TRAINING_ATTACKS } from '../config/index.ts';
import { DeepDefenseError } from '../core/index.ts';
import { effectiveStepsAs, type JournalEvent, type JournalRecord, readJournal } from '../journal/index.ts';
import type { EvaluationRecord, RunRecord, RunState, StepRecord } from './run-record.ts';

/** File names inside a run folder. */
const JOURNAL_FILE = 'journal.jsonl';
const RESULT_FILE = 'result.json';

/** The parts of result.json that a report needs; the file may hold more. */
const resultSchema = z.object({
  state: z.enum(['completed', 'stopped']),
  steps: z.int().min(0),
  epochs: z.number().min(0),
  weightsSha256: z.string(),
  cleanAccuracy: z.number().min(0).max(1).nullable(),
  robust: z.array(z.object({ attack: z.string(), epsLinf: z.number(), accuracy: z.number().min(0).max(1), samples: z.int().min(0) })),
  samplesPerSecond: z.number().min(0),
  engine: z.string(),
  seconds: z.number().min(0),
  environment: z.record(z.string(), z.string()).optional(),
});
type Result = z.output<typeof resultSchema>;

/** The parts of a stored config that a report names; the rest is only shown. */
const configSchema = z.looseObject({
  name: z.string(),
  seed: z.number(),
  model: z.looseObject({ name: z.string() }),
  strategy: z.looseObject({ name: z.string() }),
});

/**
 * Reads one run folder, also of a run that was stopped, died or is still going.
 * @throws DeepDefenseError USAGE when the folder isn't a run folder, STORAGE_FAILED when its journal can't be read.
 */
export async function readRun(folder: string): Promise<RunRecord> {
  const warnings: string[] = [];
  const records = await readRecords(folder, warnings);
  // All steps of a long run with everything in their events don't fit into memory.
  const events: JournalEvent[] = [];
  const committed = effectiveStepsAs(eventsOf(records, events), (event) => ({
    step: event.step,
    end: event.position + event.samples,
    record: stepRecord(event),
  }));
  const started = events.find((event) => event.type === 'run-started');
  if (started === undefined) throw notARunFolder(folder, `its ${JOURNAL_FILE} doesn't begin with the start of a run`);
  const config = configSchema.safeParse(started.config);
  if (!config.success) throw notARunFolder(folder, `the config in its ${JOURNAL_FILE} has no ${config.error.issues[0]?.path.join('.')}`);
  const result = await readResult(folder, warnings);

  const last = committed.at(-1);
  const steps = last === undefined ? 0 : last.step + 1;
  if (result !== undefined && result.steps !== steps)
    warnings.push(`${RESULT_FILE} counts ${result.steps} steps, the journal ${steps}; figures of steps come from the journal.`);
  const evaluations = effectiveEvaluations(events);
  const finished = events.findLast((event) => event.type === 'run-finished' || event.type === 'run-resumed');
  const { startedAt, seconds } = timesOf(records);
  const weightsSha256 = result?.weightsSha256 ?? (finished?.type === 'run-finished' ? finished.parametersSha256 : '');
  if (finished?.type === 'run-finished' && finished.state === 'failed') warnings.push(`the run failed: ${finished.reason}`);
  return {
    folder,
    runId: started.runId,
    name: config.data.name,
    state: stateOf(finished, result),
    strategy: config.data.strategy.name,
    model: config.data.model.name,
    seed: config.data.seed,
    dataset: started.datasetName,
    datasetHash: started.datasetHash,
    engine: result?.engine ?? events.find((event) => event.type === 'worker-joined')?.engineFingerprint ?? 'unknown',
    startedAt,
    seconds: result?.seconds ?? seconds,
    ...(result === undefined ? {} : { samplesPerSecond: result.samplesPerSecond }),
    steps,
    epochs: result?.epochs ?? (last === undefined ? 0 : last.end / started.samplesPerEpoch),
    ...(weightsSha256 === '' ? {} : { weightsSha256 }),
    environment: { 'deepdefense version': started.packageVersion, ...workersOf(events), ...result?.environment },
    config: started.config,
    stepRecords: committed.map(({ record }) => record),
    cleanHistory: evaluations.filter((evaluation) => evaluation.attack === 'clean'),
    finalAccuracies: finalAccuracies(evaluations, steps, result),
    warnings,
  };
}

/** Reads several run folders, in the order given; errors as {@link readRun}. */
export async function readRuns(folders: readonly string[]): Promise<RunRecord[]> {
  return Promise.all(folders.map(readRun));
}

/** @param others gets the events that are no steps */
function* eventsOf(records: readonly JournalRecord[], others: JournalEvent[]): Generator<JournalEvent> {
  for (const { event } of records) {
    if (event.type !== 'step-committed') others.push(event);
    yield event;
  }
}

async function readRecords(folder: string, warnings: string[]): Promise<readonly JournalRecord[]> {
  const path = join(folder, JOURNAL_FILE);
  try {
    const { records, cut } = await readJournal(path);
    if (cut !== null) warnings.push(`the journal is cut after its line ${cut.afterSequence} (${cut.reason}); what came later isn't shown.`);
    return records;
  } catch (error) {
    if (isMissing(error)) throw notARunFolder(folder, `no ${JOURNAL_FILE} in it`, error);
    throw error;
  }
}

async function readResult(folder: string, warnings: string[]): Promise<Result | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, RESULT_FILE), 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    return resultSchema.parse(JSON.parse(text));
  } catch {
    warnings.push(`${RESULT_FILE} is damaged; all figures come from the journal.`);
    return undefined;
  }
}

/** ENOENT or ENOTDIR, also inside the cause of a {@link DeepDefenseError}. */
function isMissing(error: unknown): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    if ('code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) return true;
  return false;
}

function notARunFolder(folder: string, got: string, cause?: unknown): DeepDefenseError {
  return new DeepDefenseError('USAGE', {
    what: `"${basename(folder)}" is not a run folder`,
    expected: `a folder with ${JOURNAL_FILE}, as "deepdefense train" writes it`,
    got,
    todo: 'name a folder inside your runs folder',
    fields: { folder },
    cause,
  });
}

function stateOf(finished: JournalEvent | undefined, result: Result | undefined): RunState {
  if (finished?.type === 'run-finished') return finished.state === 'completed' ? 'completed' : 'stopped';
  return result?.state ?? 'unfinished';
}

function timesOf(records: readonly JournalRecord[]): { startedAt: string; seconds: number } {
  const startedAt = records[0]?.at ?? '';
  const seconds = (Date.parse(records.at(-1)?.at ?? '') - Date.parse(startedAt)) / 1000;
  return { startedAt, seconds: Number.isFinite(seconds) ? seconds : 0 };
}

function stepRecord(event: Extract<JournalEvent, { type: 'step-committed' }>): StepRecord {
  const { step, epoch, loss, learningRate, gradientNorm, metrics } = event;
  return { step, epoch, loss, learningRate, gradientNorm, metrics };
}

/** Evaluations in order; those of steps that a resume voided are left out, a repeated one replaces the earlier. */
function effectiveEvaluations(events: readonly JournalEvent[]): EvaluationRecord[] {
  let kept = new Map<string, EvaluationRecord>();
  for (const event of events) {
    if (event.type === 'run-resumed') kept = new Map([...kept].filter(([, evaluation]) => evaluation.step <= event.fromStep));
    if (event.type !== 'evaluation-finished') continue;
    const { step, attack, epsLinf, accuracy, samples } = event;
    kept.set(`${step} ${attack} ${epsLinf}`, { step, attack, epsLinf, accuracy, samples });
  }
  return [...kept.values()];
}

/** Clean first, then attack by attack with rising eps. result.json fills in what a cut journal lacks. */
function finalAccuracies(evaluations: readonly EvaluationRecord[], steps: number, result: Result | undefined): EvaluationRecord[] {
  const final = evaluations.filter((evaluation) => evaluation.step === steps);
  const add = (evaluation: EvaluationRecord): void => {
    if (!final.some((one) => one.attack === evaluation.attack && one.epsLinf === evaluation.epsLinf)) final.push(evaluation);
  };
  if (result?.steps === steps) {
    if (result.cleanAccuracy !== null) add({ step: steps, attack: 'clean', epsLinf: 0, accuracy: result.cleanAccuracy, samples: 0 });
    for (const robust of result.robust) add({ step: steps, ...robust });
  }
  const order: readonly string[] = ['clean', ...IN_TRAINING_ATTACKS, 'worst-case'];
  return final.sort((a, b) => order.indexOf(a.attack) - order.indexOf(b.attack) || a.epsLinf - b.epsLinf);
}

function workersOf(events: readonly JournalEvent[]): Record<string, string> {
  const joined = events.filter((event) => event.type === 'worker-joined');
  const hosts = new Set(joined.map((event) => event.host));
  const expired = events.filter((event) => event.type === 'lease-expired').length;
  if (joined.length === 0) return {};
  return {
    Workers: `${joined.length} joined, from ${hosts.size === 1 ? [...hosts][0] : `${hosts.size} hosts`}`,
    ...(expired === 0 ? {} : { 'Leases taken back': String(expired) }),
  };
}
