import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configSchema, parameterSpecs } from '../../../src/config/index.ts';
import { findResumePoint, parametersHash, saveCheckpoint } from '../../../src/coordinator/index.ts';
import { sizeOf } from '../../../src/core/index.ts';
import { FileJournal, type JournalEvent, readJournal } from '../../../src/journal/index.ts';

const config = configSchema.parse({ name: 'resumed' });
const length = parameterSpecs(config.model).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
const parametersAfter = (step: number): Float32Array => new Float32Array(length).fill(step / 8);
const hashAfter = (step: number): string => parametersHash(parametersAfter(step));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'deepdefense-resume-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function writeJournal(steps: number): Promise<void> {
  const { journal } = await FileJournal.open(join(folder, 'journal.jsonl'), { fsync: 'never' });
  const hash = 'a'.repeat(64);
  const events: JournalEvent[] = [
    {
      type: 'run-started',
      runId: 'resumed-1',
      packageVersion: '0',
      config,
      totalSteps: 10,
      samplesPerEpoch: 1000,
      datasetName: 'd',
      datasetHash: hash,
      sampleHashesSha256: hash,
      schemaHash: hash,
    },
    { type: 'run-initialised', parametersSha256: hashAfter(0) },
  ];
  for (let step = 0; step < steps; step++)
    events.push({
      type: 'step-committed',
      step,
      epoch: 0,
      position: step * 128,
      samples: 128,
      loss: 1,
      metrics: {},
      learningRate: 0.1,
      gradientNorm: 1,
      gfaScale: 0,
      blocks: [],
      parametersSha256: hashAfter(step + 1),
      seconds: 1,
    });
  for (const event of events) await journal.append(event);
  await journal.close();
}

/** A checkpoint as it would be written after so many steps, behind the line of its last step. */
async function writeCheckpoint(step: number, hash?: string): Promise<string> {
  const { records } = await readJournal(join(folder, 'journal.jsonl'));
  const journalSequence = step + 2;
  const path = join(folder, 'checkpoints', `step-${String(step).padStart(8, '0')}.safetensors`);
  await saveCheckpoint(path, {
    runId: 'resumed-1',
    step,
    position: step * 128,
    config,
    datasetHash: '',
    engineFingerprint: 'e',
    journalSequence,
    journalHash: hash ?? records[journalSequence - 1]?.hash ?? '0'.repeat(64),
    cleanAccuracy: null,
    parameters: parametersAfter(step),
    optimizer: { updates: step, slots: new Map() },
  });
  return path;
}

describe('resume point', () => {
  it('is the newest checkpoint that the journal knows', async () => {
    await writeJournal(5);
    await writeCheckpoint(2);
    const path = await writeCheckpoint(4);
    const point = await findResumePoint(folder, config);
    expect(point).toMatchObject({ runId: 'resumed-1', path, checkpoint: { step: 4 }, skipped: [] });
  });

  it('passes over checkpoints that are damaged, of another journal, or beyond this one', async () => {
    await writeJournal(5);
    await writeCheckpoint(2);
    await writeCheckpoint(3, 'f'.repeat(64));
    await truncate(await writeCheckpoint(4), 100);
    await writeCheckpoint(6);
    const { checkpoint, skipped } = await findResumePoint(folder, config);
    expect(checkpoint?.step).toBe(2);
    expect(skipped.map(({ error }) => error.code)).toEqual(['CHECKPOINT_CORRUPT', 'CHECKPOINT_TRUNCATED', 'CHECKPOINT_CORRUPT']);
  });

  it('is the first step when the run was lost before its first checkpoint', async () => {
    await writeJournal(3);
    expect(await findResumePoint(folder, config)).toMatchObject({ runId: 'resumed-1', checkpoint: undefined, path: undefined });
  });

  it('is never the first step when there are checkpoints and none is good', async () => {
    await writeJournal(3);
    await truncate(await writeCheckpoint(2), 100);
    await expect(findResumePoint(folder, config)).rejects.toMatchObject({ code: 'CHECKPOINT_TRUNCATED' });
  });

  it('is an error without a run', async () => {
    await expect(findResumePoint(folder, config)).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' });
    await writeFile(join(folder, 'journal.jsonl'), 'no journal\n');
    await expect(findResumePoint(folder, config)).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' });
  });
});
