/** @file Where a run goes on: the newest checkpoint that is whole and agrees with the journal, or the first step. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import { DeepDefenseError, PACKAGE_VERSION, packageVersionOf } from '../core/index.ts';
import { type JournalContent, type JournalRecord, readJournal } from '../journal/index.ts';
import { type Checkpoint, loadCheckpoint, missing } from './checkpoint.ts';
import { checkpointFiles, isDamage, type SkippedCheckpoint } from './checkpoint-folder.ts';

/** How a run goes on. */
export interface ResumePoint {
  readonly runId: string;
  /** Undefined when the run was lost before its first checkpoint: all steps are computed again. */
  readonly checkpoint: Checkpoint | undefined;
  /** File of the checkpoint. */
  readonly path: string | undefined;
  readonly skipped: readonly SkippedCheckpoint[];
}

/**
 * Older checkpoints lead to the same weights, so one that is damaged, or that the journal knows nothing of because the machine stopped
 * before its lines were on disk, is passed over and reported.
 * @throws DeepDefenseError CHECKPOINT_MISSING when the folder holds no run; CHECKPOINT_TRUNCATED or CHECKPOINT_CORRUPT when there are
 * checkpoints and none can be used; CHECKPOINT_OTHER_MODEL, CHECKPOINT_OTHER_CONFIG; FORMAT_NEWER; PROTOCOL_VERSION for steps that
 * another version of the package has computed
 */
export async function findResumePoint(runFolder: string, config: Config): Promise<ResumePoint> {
  const folder = join(runFolder, 'checkpoints');
  const files = await checkpointFiles(folder);
  const journal = await journalOf(runFolder);
  const skipped: SkippedCheckpoint[] = [];
  for (const { path } of files.reverse()) {
    try {
      const checkpoint = await loadCheckpoint(path, { config });
      if (journal !== undefined) assertKnown(checkpoint, path, journal);
      checkBuild(checkpoint.engineFingerprint, runFolder);
      return { runId: checkpoint.runId, checkpoint, path, skipped };
    } catch (error) {
      if (!isDamage(error)) throw error;
      skipped.push({ path, error });
    }
  }
  // Never silently from the beginning where there was a checkpoint.
  if (skipped[0] !== undefined) throw skipped[0].error;
  const started = journal?.records[0]?.event;
  // The seed alone doesn't lead to the first step of a fork.
  const isFork = journal?.records.some(({ event }) => event.type === 'run-forked') === true;
  if (started?.type !== 'run-started' || isFork) throw missing(folder);
  checkBuild(firstFingerprint(journal?.records ?? []) ?? '', runFolder);
  return { runId: started.runId, checkpoint: undefined, path: undefined, skipped };
}

/**
 * Another version of the package may compute other bits; its workers would be refused one by one.
 * @param folder for the message
 * @throws DeepDefenseError PROTOCOL_VERSION
 */
export function checkBuild(engineFingerprint: string, folder: string): void {
  const version = packageVersionOf(engineFingerprint);
  if (version === undefined || version === PACKAGE_VERSION) return;
  throw new DeepDefenseError('PROTOCOL_VERSION', {
    what: `the steps in "${folder}" were computed by another version of deepdefense, and this one could compute other bits`,
    expected: `version ${PACKAGE_VERSION}`,
    got: `version ${version}`,
    todo: `go on with version ${version}, or start a new run`,
    fields: { folder, version },
  });
}

/** Engine of the steps that a journal has, also of those before any checkpoint. */
export function firstFingerprint(records: readonly JournalRecord[]): string | undefined {
  for (const { event } of records) if (event.type === 'worker-joined') return event.engineFingerprint;
  return undefined;
}

/** The run's journal, as far as it is good; undefined where there is none. Its lines are checked, not decoded: there may be a million. */
async function journalOf(runFolder: string): Promise<JournalContent | undefined> {
  const path = join(runFolder, 'journal.jsonl');
  if ((await stat(path).catch(() => undefined)) === undefined) return undefined;
  const journal = await readJournal(path);
  return journal.records[0]?.event.type === 'run-started' ? journal : undefined;
}

/** The journal's seal at the place that the checkpoint names covers every step up to it. */
function assertKnown({ step, journalSequence, journalHash }: Checkpoint, path: string, { records }: JournalContent): void {
  const record = records[journalSequence - 1];
  if (record?.hash === journalHash) return;
  throw new DeepDefenseError('CHECKPOINT_CORRUPT', {
    what: `the checkpoint "${path}" isn't one of this run's journal`,
    expected: `line ${journalSequence} of the journal with the hash ${journalHash.slice(0, 12)}`,
    got: record === undefined ? `a journal of ${records.length} lines` : `the hash ${record.hash.slice(0, 12)}`,
    todo: 'put the journal.jsonl that belongs to it back, or remove the checkpoint',
    fields: { path, step },
  });
}
