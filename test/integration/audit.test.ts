/** @file Audits of whole runs: an intact one passes, and whatever is changed afterwards is found and named. */
import { appendFile, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuditReport, auditRun } from '../../src/coordinator/index.ts';
import { createDataset } from '../../src/data/index.ts';
import type { JournalEvent, StepCommitted } from '../../src/journal/index.ts';
import { FileJournal, readJournal } from '../../src/journal/index.ts';
import { TestCluster, tinyConfig, tinyDataset } from './support/cluster.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.create();
  const handle = await cluster.start(tinyConfig({ cluster: { minWorkers: 2 } }));
  cluster.worker();
  cluster.worker();
  await handle.result;
});
afterAll(() => cluster.close());

/** Audits a copy of the run after something was done to it. */
async function auditAfter(change: (folder: string) => Promise<void>, dataset = tinyDataset): Promise<AuditReport> {
  const folder = join(cluster.folder, `copy-${Math.random().toString(36).slice(2)}`);
  await cp(cluster.runFolder, folder, { recursive: true });
  await change(folder);
  const report = await auditRun(folder, { dataset });
  await rm(folder, { recursive: true });
  return report;
}

/** Findings by check, of the checks that failed. */
function failures({ checks }: AuditReport): Record<string, readonly string[]> {
  return Object.fromEntries(checks.filter(({ passed }) => passed === false).map(({ name, findings }) => [name, findings]));
}

/** A forger's journal: the events changed, every line sealed anew. */
async function forge(folder: string, change: (events: JournalEvent[]) => void): Promise<void> {
  const path = join(folder, 'journal.jsonl');
  const { records } = await readJournal(path);
  const events = records.map(({ event }) => structuredClone(event));
  change(events);
  await rm(path);
  const { journal } = await FileJournal.open(path, { fsync: 'never' });
  for (const event of events) await journal.append(event);
  await journal.close();
}

const stepsOf = (events: readonly JournalEvent[]): StepCommitted[] => events.filter((event) => event.type === 'step-committed');

const blocksOf = (events: readonly JournalEvent[], step: number): unknown[] => (stepsOf(events)[step] as StepCommitted).blocks as unknown[];

describe('audit', () => {
  it('passes an intact run', async () => {
    const report = await auditAfter(async () => {});
    expect(report).toMatchObject({ runId: 'run-1', state: 'completed', steps: 12, passed: true });
    expect(report.checks.map(({ name, passed }) => [name, passed])).toEqual([
      ['journal', true],
      ['samples', true],
      ['shards', true],
      ['recomputed steps', true],
      ['checkpoints', true],
      ['weights', true],
      ['dataset', true],
    ]);
  });

  it('passes a journal that a crash tore, without its torn line', async () => {
    const report = await auditAfter((folder) => appendFile(join(folder, 'journal.jsonl'), '{"sequence":99,"at":"20'));
    expect(failures(report)).toEqual({});
    expect(report.checks[0]?.detail).toContain('torn last line');
  });

  it('names the first record that was changed', async () => {
    const report = await auditAfter(async (folder) => {
      const path = join(folder, 'journal.jsonl');
      const lines = (await readFile(path, 'utf8')).split('\n');
      lines[6] = (lines[6] as string).replace(/"loss":[^,]+/, '"loss":0.5');
      await writeFile(path, lines.join('\n'));
    });
    expect(failures(report).journal?.[0]).toContain("the hash of line 7 doesn't fit");
  });

  it('names a removed, a repeated and a shifted step even when every line is sealed anew', async () => {
    const removed = await auditAfter((folder) =>
      forge(folder, (events) => {
        events.splice(events.indexOf(stepsOf(events)[3] as StepCommitted), 1);
      }),
    );
    expect(failures(removed).samples?.[0]).toContain('is step 4, expected step 3');
    const doubled = await auditAfter((folder) =>
      forge(folder, (events) => {
        const step = stepsOf(events)[3] as StepCommitted;
        events.splice(events.indexOf(step), 0, step);
      }),
    );
    expect(failures(doubled).samples?.some((text) => /^sample \d+ of epoch 0 was consumed 2 times$/.test(text))).toBe(true);
    const shifted = await auditAfter((folder) =>
      forge(folder, (events) => {
        (stepsOf(events)[3] as { position: number }).position += 16;
      }),
    );
    expect(failures(shifted).samples?.[0]).toBe('step 3 says that it consumed positions [64, 80), expected [48, 64)');
  });

  it('names a step with a missing or a doubled shard', async () => {
    const missing = await auditAfter((folder) =>
      forge(folder, (events) => {
        blocksOf(events, 5).pop();
      }),
    );
    expect(failures(missing).shards?.[0]).toMatch(/^step 5: \d shards are counted, expected 8$/);
    const doubled = await auditAfter((folder) =>
      forge(folder, (events) => {
        const blocks = blocksOf(events, 5);
        blocks.push(blocks.at(-1));
      }),
    );
    expect(failures(doubled).shards?.[0]).toMatch(/^step 5: shards \[\d, 8\) are there twice$/);
  });

  it('names changed weights and checkpoints, also with a result that goes along', async () => {
    const report = await auditAfter(async (folder) => {
      for (const name of ['weights.safetensors', 'checkpoints/step-00000012.safetensors']) {
        const bytes = await readFile(join(folder, name));
        bytes[bytes.length - 2] = (bytes.at(-2) as number) ^ 1;
        await writeFile(join(folder, name), bytes);
      }
      const result = JSON.parse(await readFile(join(folder, 'result.json'), 'utf8')) as { weightsSha256: string };
      await writeFile(join(folder, 'result.json'), JSON.stringify({ ...result, weightsSha256: 'f'.repeat(64) }));
    });
    expect(failures(report).weights?.[0]).toMatch(/^weights\.safetensors: its hash is /);
    expect(failures(report).weights?.[1]).toMatch(/^result\.json names weights ffffffffffff, step 11 led to /);
    expect(failures(report).checkpoints).toEqual([expect.stringContaining('step-00000012.safetensors') as string]);
  });

  it('names the samples of a dataset that were changed', async () => {
    const pixels = tinyDataset.train.pixels.slice();
    pixels[7 * 3072 + 5] = (pixels[7 * 3072 + 5] as number) ^ 1;
    const labels = tinyDataset.test.labels.slice();
    labels[3] = ((labels[3] as number) + 1) % 10;
    const other = createDataset('other', { ...tinyDataset.train, pixels }, { ...tinyDataset.test, labels });
    const report = await auditAfter(async () => {}, other);
    expect(failures(report).dataset?.slice(1)).toEqual([
      'training sample 7 is not the one that the run had',
      'test sample 3 is not the one that the run had',
    ]);
  });

  it('names a recomputed step that led to other parameters', async () => {
    const report = await auditAfter((folder) =>
      forge(folder, (events) => {
        // As if the coordinator had gone on from the checkpoint after step 5, and the old step 7 had been another one.
        const steps = stepsOf(events);
        const at = events.indexOf(steps[8] as StepCommitted);
        const again = steps.slice(5, 8).map((step) => ({ ...step }));
        (steps[7] as { parametersSha256: string }).parametersSha256 = '0'.repeat(64);
        events.splice(at, 0, { type: 'run-resumed', fromStep: 5, checkpoint: 'checkpoints/step-00000005.safetensors' }, ...again);
      }),
    );
    expect(failures(report)['recomputed steps']).toEqual([expect.stringMatching(/^step 7 led to parameters 000000000000 first/) as string]);
  });
});
