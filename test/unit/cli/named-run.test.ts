import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { namedRun } from '../../../src/cli/run-source.ts';
import { FileJournal, type JournalEvent } from '../../../src/journal/index.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'named-run-'));
});
afterEach(() => rm(folder, { recursive: true }));

const named = () => namedRun({ set: [`runsFolder=${folder}`, 'data.source=synthetic'] }, 'mine', () => {});

/** A run folder whose journal ends with this event. */
async function runThatEnded(end: Partial<JournalEvent> & { readonly type: 'run-finished' }): Promise<void> {
  await mkdir(join(folder, 'mine'));
  const { journal } = await FileJournal.open(join(folder, 'mine/journal.jsonl'));
  await journal.append({ type: 'run-started', runId: 'mine' } as JournalEvent);
  await journal.append(end as JournalEvent);
  await journal.close();
}

it('named run: begins where nothing is, and never counts as new, so that a failed start removes nothing', { timeout: 60_000 }, async () => {
  expect(await named()).toMatchObject({ runId: 'mine', runFolder: join(folder, 'mine'), isNew: false });
  await mkdir(join(folder, 'mine'));
  expect(await named()).toMatchObject({ runId: 'mine', isNew: false });
});

it('named run: goes on after a stop and after an error that may be gone', async () => {
  await runThatEnded({ type: 'run-finished', state: 'stopped', reason: 'interrupted' });
  expect((await named()).end).toBeUndefined();
  await rm(join(folder, 'mine'), { recursive: true });
  await runThatEnded({ type: 'run-finished', state: 'failed', reason: 'WORKERS_LOST: no worker' });
  expect((await named()).end).toBeUndefined();
});

it('named run: that has its result does not begin again', async () => {
  await runThatEnded({ type: 'run-finished', state: 'completed', reason: 'all steps and evaluations are done' });
  await writeFile(join(folder, 'mine/result.json'), JSON.stringify({ state: 'completed', runId: 'mine', steps: 7 }));
  expect((await named()).end).toEqual({ state: 'completed', runId: 'mine', steps: 7 });
});

it('named run: whose loss was not finite ends the same way without computing', async () => {
  await runThatEnded({ type: 'run-finished', state: 'failed', reason: 'NON_FINITE_LOSS: step 3 has a loss that is not finite' });
  expect((await named()).end).toMatchObject({
    code: 'NON_FINITE_LOSS',
    exitCode: 9,
    parts: { what: 'step 3 has a loss that is not finite' },
  });
});
