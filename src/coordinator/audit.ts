/**
 * @file Checks a run folder against its own journal: that the journal is unbroken, that every sample of every epoch was consumed exactly
 * once, and that checkpoints, weights and samples are those that the journal names. Nothing is computed anew; see src/cli/replay.ts.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, configSchema, parameterSpecs } from '../config/index.ts';
import { DeepDefenseError, isDeepDefenseError, sha256, sizeOf } from '../core/index.ts';
import { changedSamples, type Dataset, SampleOrder } from '../data/index.ts';
import {
  type CheckpointWritten,
  type CountedBlock,
  type JournalContent,
  type JournalRecord,
  readJournal,
  type RunFinished,
  type RunForked,
  type RunInitialised,
  type RunResumed,
  type StepCommitted,
} from '../journal/index.ts';
import { decodeSafetensors } from '../wire/index.ts';
import { loadCheckpoint, parametersHash } from './checkpoint.ts';
import { checkpointFiles } from './checkpoint-folder.ts';
import { SAMPLE_HASHES_FILE } from './coordinator.ts';

/** What an audit looks at, in this order. */
export const AUDIT_CHECKS = ['journal', 'samples', 'shards', 'recomputed steps', 'checkpoints', 'weights', 'dataset'] as const;

export interface AuditCheck {
  readonly name: (typeof AUDIT_CHECKS)[number];
  /** Null when there was nothing to check it against. */
  readonly passed: boolean | null;
  /** What was checked, in one line. */
  readonly detail: string;
  /** What is wrong, each naming its record, file or sample; the first {@link MOST_FINDINGS}. */
  readonly findings: readonly string[];
}

export interface AuditReport {
  readonly runId: string;
  readonly state: RunFinished['state'] | 'unfinished';
  /** Committed steps that count. */
  readonly steps: number;
  /** True when no check failed. */
  readonly passed: boolean;
  readonly checks: readonly AuditCheck[];
}

/** A committed step as the ledger has it. What isn't needed of all steps at once is read from the journal when it is looked at. */
export interface LedgerStep extends Pick<StepCommitted, 'step' | 'position' | 'samples' | 'parametersSha256'> {
  /** The counted answers; undefined in journals of before 2026-11-23, which don't say. */
  readonly blocks: readonly CountedBlock[] | undefined;
}

/** What the events of a run add up to. */
export interface RunHistory {
  readonly runId: string;
  readonly config: Config;
  readonly samplesPerEpoch: number;
  readonly totalSteps: number;
  readonly datasetHash: string;
  readonly sampleHashesSha256: string;
  /** Engine fingerprints of the workers that were ready. */
  readonly fingerprints: readonly string[];
  /** Number of the first step; above 0 where the run began with the state of another one. */
  readonly firstStep: number;
  /** Hash of the parameters before the first step; undefined when the run didn't get so far. */
  readonly initialSha256: string | undefined;
  /** The steps that count, in order of the journal. */
  readonly steps: readonly LedgerStep[];
  /** Steps that a later resume made void. */
  readonly voided: readonly LedgerStep[];
  readonly checkpoints: readonly CheckpointWritten[];
  readonly finished: RunFinished | undefined;
}

/** Findings that a check lists at most. */
const MOST_FINDINGS = 20;

/**
 * Reads a journal as far as it is good.
 * @throws DeepDefenseError USAGE when the folder holds no run
 */
export async function readHistory(folder: string): Promise<{ readonly journal: JournalContent; readonly history: RunHistory }> {
  const file = join(folder, 'journal.jsonl');
  const there = await stat(file).catch(() => undefined);
  const journal = there === undefined ? undefined : await readJournal(file);
  const history = journal && fold(journal.records);
  if (journal !== undefined && history !== undefined) return { journal, history };
  throw new DeepDefenseError('USAGE', {
    what: `"${folder}" is no run folder`,
    expected: 'a folder whose journal.jsonl begins with the start of a run',
    got: there === undefined ? 'no journal.jsonl' : (journal?.cut?.reason ?? 'another first record'),
    todo: 'name a folder below runs/',
    fields: { path: folder },
  });
}

/** Holds some 100 bytes of each step: a run may have a million. */
function fold(records: readonly JournalRecord[]): RunHistory | undefined {
  const started = records[0]?.event;
  if (started?.type !== 'run-started') return undefined;
  const config = configSchema.safeParse(started.config);
  if (!config.success) return undefined;
  const steps: LedgerStep[] = [];
  const voided: LedgerStep[] = [];
  const checkpoints: CheckpointWritten[] = [];
  const fingerprints = new Set<string>();
  let forked: RunForked | undefined;
  let initialised: RunInitialised | undefined;
  let ended: RunFinished | RunResumed | undefined;
  for (const record of records) {
    const { event } = record;
    if (event.type === 'step-committed') steps.push(new RecordedStep(event, record));
    else if (event.type === 'run-resumed') while ((steps.at(-1)?.step ?? -1) >= event.fromStep) voided.push(steps.pop() as LedgerStep);
    else if (event.type === 'checkpoint-written') checkpoints.push(event);
    else if (event.type === 'worker-joined') fingerprints.add(event.engineFingerprint);
    else if (event.type === 'run-forked') forked ??= event;
    else if (event.type === 'run-initialised') initialised ??= event;
    if (event.type === 'run-finished' || event.type === 'run-resumed') ended = event;
  }
  return {
    runId: started.runId,
    config: config.data,
    samplesPerEpoch: started.samplesPerEpoch,
    totalSteps: started.totalSteps,
    datasetHash: started.datasetHash,
    sampleHashesSha256: started.sampleHashesSha256,
    fingerprints: [...fingerprints],
    firstStep: forked?.step ?? 0,
    initialSha256: (forked ?? initialised)?.parametersSha256,
    steps,
    voided,
    checkpoints,
    finished: ended?.type === 'run-finished' ? ended : undefined,
  };
}

class RecordedStep implements LedgerStep {
  readonly step: number;
  readonly position: number;
  readonly samples: number;
  readonly parametersSha256: string;
  readonly #record: JournalRecord;

  constructor({ step, position, samples, parametersSha256 }: StepCommitted, record: JournalRecord) {
    this.step = step;
    this.position = position;
    this.samples = samples;
    this.parametersSha256 = parametersSha256;
    this.#record = record;
  }

  get blocks(): readonly CountedBlock[] | undefined {
    return (this.#record.event as Partial<StepCommitted>).blocks;
  }
}

/**
 * @param options.dataset whole, as the run had it; without it the samples themselves aren't checked
 * @throws DeepDefenseError USAGE when the folder holds no run, STORAGE_FAILED
 */
export async function auditRun(folder: string, { dataset }: { readonly dataset?: Dataset | undefined } = {}): Promise<AuditReport> {
  const { journal, history } = await readHistory(folder);
  const checks = [
    checkJournal(journal),
    checkSamples(history),
    checkShards(history),
    checkRecomputed(history),
    await checkCheckpoints(folder, history, journal.records),
    await checkWeights(folder, history),
    await checkDataset(folder, history, dataset),
  ];
  return {
    runId: history.runId,
    state: history.finished?.state ?? 'unfinished',
    steps: committedSteps(history),
    passed: checks.every(({ passed }) => passed !== false),
    checks,
  };
}

function check(name: AuditCheck['name'], detail: string, findings: readonly string[]): AuditCheck {
  const more = findings.length - MOST_FINDINGS;
  const listed = more > 0 ? [...findings.slice(0, MOST_FINDINGS), `and ${more} more`] : findings;
  return { name, passed: findings.length === 0, detail, findings: listed };
}

const unchecked = (name: AuditCheck['name'], detail: string): AuditCheck => ({ name, passed: null, detail, findings: [] });

function checkJournal({ records, cut }: JournalContent): AuditCheck {
  const detail = `${records.length} records, each sealed with the hash of the one before`;
  if (cut === null) return check('journal', detail, []);
  // What a crash in mid-write leaves; the next start cuts it off.
  if (cut.droppedLines === 1 && cut.torn) return check('journal', `${detail}; a torn last line, as a crash leaves it`, []);
  return check('journal', detail, [`journal.jsonl: ${cut.reason}; ${cut.droppedLines} line(s) from there on are not what was written`]);
}

/** Every position once, and every sample of every whole epoch once. */
function checkSamples({ config, samplesPerEpoch, totalSteps, firstStep, steps }: RunHistory): AuditCheck {
  const { batchSize } = config.train;
  const { everySteps } = config.sync;
  const findings: string[] = [];
  let next = firstStep;
  const order = new SampleOrder(config.seed, samplesPerEpoch);
  const consumed = new Map<number, Uint16Array>();
  for (const [index, { step, position, samples }] of steps.entries()) {
    if (step !== next) findings.push(`record ${index + 1} of the committed steps is step ${step}, expected step ${next}`);
    next = Math.min(step + everySteps, totalSteps);
    if (position !== step * batchSize || position + samples !== next * batchSize)
      findings.push(
        `step ${step} says that it consumed positions [${position}, ${position + samples}), expected [${step * batchSize}, ${next * batchSize})`,
      );
    for (const { epoch, sample } of order.range(position, samples)) {
      const counts = consumed.get(epoch) ?? new Uint16Array(samplesPerEpoch);
      consumed.set(epoch, counts);
      counts[sample] = (counts[sample] as number) + 1;
    }
  }
  const total = steps.reduce((sum, { samples }) => sum + samples, 0);
  const from = firstStep * batchSize;
  // Epochs that lie between the first and the last position.
  const [firstWhole, behindWhole] = [Math.ceil(from / samplesPerEpoch), Math.floor((from + total) / samplesPerEpoch)];
  for (const [epoch, counts] of consumed)
    for (const [sample, count] of counts.entries())
      if (count > 1 || (count === 0 && epoch >= firstWhole && epoch < behindWhole))
        findings.push(`sample ${sample} of epoch ${epoch} was consumed ${count} times`);
  const wholeEpochs = Math.max(0, behindWhole - firstWhole);
  const began = firstStep === 0 ? '' : `; a fork that began with the state after ${firstStep} steps of another run`;
  return check(
    'samples',
    `${total} samples in ${next - firstStep} steps, ${wholeEpochs} whole epoch(s) of ${samplesPerEpoch}, each once${began}`,
    findings,
  );
}

/** Every shard of every step once. */
function checkShards({ config, steps }: RunHistory): AuditCheck {
  const { shards } = config.train;
  const findings: string[] = [];
  let checked = 0;
  for (const { step, blocks } of steps) {
    if (blocks === undefined) continue;
    checked += 1;
    let next = 0;
    for (const { first, count } of blocks) {
      if (first !== next)
        findings.push(
          `step ${step}: shards [${Math.min(first, next)}, ${Math.max(first, next)}) are ${first > next ? 'missing' : 'there twice'}`,
        );
      next = first + count;
    }
    if (next !== shards) findings.push(`step ${step}: ${next} shards are counted, expected ${shards}`);
  }
  const older = steps.length - checked;
  const note = older === 0 ? '' : `; ${older} of an older version, which didn't say`;
  return check('shards', `${shards} shards in each of ${checked} steps, each once${note}`, findings);
}

/** What a crash made void and was computed again must be the same. */
function checkRecomputed(history: RunHistory): AuditCheck {
  const hashes = new Map(history.steps.map(({ step, parametersSha256 }) => [step, parametersSha256]));
  // Journals of before 2026-11-23 don't say what a step led to.
  const again = history.voided.filter(
    ({ step, parametersSha256 }) => (parametersSha256 as string | undefined) !== undefined && hashes.has(step),
  );
  const findings = again
    .filter(({ step, parametersSha256 }) => hashes.get(step) !== parametersSha256)
    .map(
      ({ step, parametersSha256 }) =>
        `step ${step} led to parameters ${short(parametersSha256)} first and to ${short(hashes.get(step))} after the resume`,
    );
  return check('recomputed steps', `${again.length} steps were computed again after a resume, to the same parameters`, findings);
}

async function checkCheckpoints(folder: string, history: RunHistory, records: readonly JournalRecord[]): Promise<AuditCheck> {
  const findings: string[] = [];
  // A checkpoint of a step that was made void and never reached again can't be compared.
  for (const { step, checkpoint, parametersSha256 } of history.checkpoints) {
    const expected = sha256After(history, step);
    if (expected !== undefined && expected !== parametersSha256)
      findings.push(`${checkpoint}: recorded with parameters ${short(parametersSha256)}, but step ${step} led to ${short(expected)}`);
  }
  const files = await checkpointFiles(join(folder, 'checkpoints'));
  for (const { name, path } of files) {
    try {
      const { runId, step, parameters, journalSequence, journalHash } = await loadCheckpoint(path);
      const expected = sha256After(history, step);
      const own = parametersHash(parameters);
      if (runId !== history.runId) findings.push(`${name}: belongs to the run ${runId}`);
      if (expected === undefined) findings.push(`${name}: the journal has no step ${step}`);
      else if (own !== expected)
        findings.push(`${name}: its parameters have the hash ${short(own)}, but step ${step} led to ${short(expected)}`);
      if (journalSequence > 0 && records[journalSequence - 1]?.hash !== journalHash)
        findings.push(`${name}: was written behind record ${journalSequence} of another journal`);
    } catch (error) {
      if (!isDeepDefenseError(error)) throw error;
      findings.push(`${name}: ${error.parts.what} (${error.code})`);
    }
  }
  return check('checkpoints', `${files.length} files, ${history.checkpoints.length} records`, findings);
}

async function checkWeights(folder: string, history: RunHistory): Promise<AuditCheck> {
  const last = committedSteps(history);
  const expected = sha256After(history, last);
  const path = join(folder, 'weights.safetensors');
  const bytes = await readFile(path).catch(() => undefined);
  const { finished } = history;
  if (bytes === undefined && finished?.state !== 'completed') return unchecked('weights', 'the run has left no final weights');
  if (bytes === undefined) return check('weights', 'final weights', ['weights.safetensors is missing']);
  const findings: string[] = [];
  const own = weightsHash(bytes, path, history.config);
  const left = await weightsLeft(folder, history, last);
  if (left === undefined) findings.push(`no checkpoint after step ${last - 1} holds the average of the weights`);
  else if (own !== left)
    findings.push(`weights.safetensors: ${own.length === 64 ? `its hash is ${short(own)}` : own}, step ${last - 1} led to ${short(left)}`);
  if (finished !== undefined && finished.parametersSha256 !== expected)
    findings.push(
      `the end of the run is recorded with parameters ${short(finished.parametersSha256)}, the last step with ${short(expected)}`,
    );
  const result = await readFile(join(folder, 'result.json'), 'utf8').catch(() => undefined);
  const claimed = result === undefined ? undefined : claimedHash(result);
  if (claimed !== undefined && left !== undefined && claimed !== left)
    findings.push(`result.json names weights ${short(claimed)}, step ${last - 1} led to ${short(left)}`);
  return check('weights', `final weights ${short(left ?? expected)}`, findings);
}

/** Hash of the weights that the run should leave: the ledger's, or with `optimizer.emaDecay` that of the average in the last checkpoint. */
async function weightsLeft(folder: string, history: RunHistory, steps: number): Promise<string | undefined> {
  if (history.config.optimizer.emaDecay === 0) return sha256After(history, steps);
  const files = await checkpointFiles(join(folder, 'checkpoints'));
  const last = files.find(({ step }) => step === steps);
  if (last === undefined) return undefined;
  const { parameters, optimizer } = await loadCheckpoint(last.path);
  return parametersHash(optimizer.slots.get('average') ?? parameters);
}

/** The hash of a weights file's parameters, or what is wrong with the file. */
function weightsHash(bytes: Buffer, path: string, config: Config): string {
  try {
    const { tensors } = decodeSafetensors(bytes, path);
    const specs = parameterSpecs(config.model);
    const flat = new Float32Array(specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
    let at = 0;
    for (const { name, shape } of specs) {
      const tensor = tensors.get(name);
      if (tensor?.dtype !== 'float32' || tensor.shape.join() !== shape.join()) return `"${name}" is missing or has another shape`;
      flat.set(tensor.data, at);
      at += tensor.data.length;
    }
    return parametersHash(flat);
  } catch (error) {
    if (!isDeepDefenseError(error)) throw error;
    return `it can't be read (${error.code})`;
  }
}

function claimedHash(result: string): string {
  try {
    return String((JSON.parse(result) as { weightsSha256?: unknown }).weightsSha256);
  } catch {
    return 'that are no JSON';
  }
}

async function checkDataset(folder: string, history: RunHistory, dataset: Dataset | undefined): Promise<AuditCheck> {
  const findings: string[] = [];
  const hashes = await readFile(join(folder, SAMPLE_HASHES_FILE)).catch(() => undefined);
  if (hashes === undefined) findings.push(`${SAMPLE_HASHES_FILE} is missing`);
  else if (sha256(hashes) !== history.sampleHashesSha256) findings.push(`${SAMPLE_HASHES_FILE} is not the file that the journal names`);
  if (dataset === undefined) {
    if (findings.length > 0) return check('dataset', 'hashes of the samples', findings);
    return unchecked('dataset', 'no dataset was at hand; give --data PATH to check the samples');
  }
  if (dataset.contentHash !== history.datasetHash) {
    findings.push(`the dataset at hand has the content ${short(dataset.contentHash)}, the run used ${short(history.datasetHash)}`);
    if (hashes !== undefined && findings.length === 1) {
      const changed = await changedSamples(dataset, hashes).catch((error: unknown) => {
        if (!isDeepDefenseError(error)) throw error;
        findings.push(error.message);
        return [];
      });
      for (const { set, index } of changed)
        findings.push(`${set === 'train' ? 'training' : 'test'} sample ${index} is not the one that the run had`);
    }
  }
  return check(
    'dataset',
    `${dataset.train.count} training and ${dataset.test.count} test samples, content ${short(history.datasetHash)}`,
    findings,
  );
}

/** Steps of the run after a record of the ledger: with local steps it holds several. */
export function stepsAfter({ config }: Pick<RunHistory, 'config'>, { step, samples }: Pick<StepCommitted, 'step' | 'samples'>): number {
  return step + samples / config.train.batchSize;
}

function committedSteps(history: RunHistory): number {
  const last = history.steps.at(-1);
  return last === undefined ? history.firstStep : stepsAfter(history, last);
}

/** Hash of the parameters after so many steps; undefined where the journal has no such state. */
export function sha256After(history: RunHistory, count: number): string | undefined {
  const done = count - history.firstStep;
  if (done === 0) return history.initialSha256;
  const record = history.steps[Math.ceil(done / history.config.sync.everySteps) - 1];
  return record !== undefined && stepsAfter(history, record) === count ? record.parametersSha256 : undefined;
}

const short = (hash: string | undefined): string => (hash === undefined ? 'nothing' : hash.slice(0, 12));
