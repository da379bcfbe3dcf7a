/** @file Whole runs with real processes, real graphs and real kills. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunResult } from '../../src/coordinator/index.ts';
import { effectiveSteps, type JournalEvent, readJournal } from '../../src/journal/index.ts';
import { realConfig, TestCluster } from './support/cluster.ts';
import { freePort, startCoordinatorProcess, startWorkerProcess, type TestProcess } from './support/processes.ts';

let cluster: TestCluster;
const started: TestProcess[] = [];
beforeEach(async () => {
  cluster = await TestCluster.create();
});
afterEach(async () => {
  for (const { child } of started) child.kill('SIGKILL');
  await Promise.all(started.splice(0).map(({ exit }) => exit));
  await cluster.close();
});

function track(process: TestProcess): TestProcess {
  started.push(process);
  return process;
}

function worker(address: string): TestProcess {
  return track(startWorkerProcess(address, join(cluster.folder, 'cache')));
}

async function until(what: string, done: () => boolean, process: TestProcess): Promise<void> {
  while (!done()) {
    if (process.child.exitCode !== null) throw new Error(`ended before ${what}:\n${process.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Hash of an undisturbed run with one worker process. */
async function referenceHash(): Promise<string> {
  const handle = await cluster.start(realConfig());
  const only = worker(handle.grpcAddress);
  const result = await handle.result;
  expect(await only.exit).toBe(0);
  expect(result.engine).toMatch(/^onnx:cpu/);
  return result.weightsSha256;
}

describe('real processes', () => {
  it('give the same weights when a worker is killed and another joins in mid-run', async () => {
    const expected = await referenceHash();
    const handle = await cluster.start(realConfig({ cluster: { minWorkers: 2 } }), { runFolder: join(cluster.folder, 'second') });
    cluster.events.length = 0;
    const [first, second] = [worker(handle.grpcAddress), worker(handle.grpcAddress)];
    await cluster.event('step', ({ step }) => step === 5);
    second.child.kill('SIGKILL');
    expect(await second.exit).toBe('SIGKILL');
    const third = worker(handle.grpcAddress);
    const result = await handle.result;
    expect(result).toMatchObject({ weightsSha256: expected, workers: { joined: 3, left: 1 } });
    expect(await Promise.all([first.exit, third.exit])).toEqual([0, 0]);
  });

  it('give the same weights when the coordinator is killed and started again while a worker goes on', async () => {
    const expected = await referenceHash();
    const port = await freePort();
    const runFolder = join(cluster.folder, 'third');
    const survivor = worker(`127.0.0.1:${port}`);
    const first = track(startCoordinatorProcess(runFolder, port));
    await until('step 10', () => first.output().includes('step 10\n'), first);
    first.child.kill('SIGKILL');
    await first.exit;
    const second = track(startCoordinatorProcess(runFolder, port));
    expect(await second.exit).toBe(0);
    expect(second.output()).toContain(`weights ${expected}`);
    expect(second.output()).not.toContain('step 4\n');
    expect(await survivor.exit).toBe(0);
    // The goodput is that of both processes: steps that were computed twice count once as useful.
    const { goodput } = JSON.parse(await readFile(join(runFolder, 'result.json'), 'utf8')) as RunResult;
    const { records } = await readJournal(join(runFolder, 'journal.jsonl'));
    const events = records.map(({ event }) => event);
    const compute = (steps: readonly JournalEvent[]) =>
      steps.reduce((sum, event) => sum + (event.type === 'step-committed' ? (event.computeSeconds ?? Number.NaN) : 0), 0);
    const kept = compute(effectiveSteps(events));
    expect(goodput.seconds.useful).toBeGreaterThan(0.95 * kept);
    expect(goodput.seconds.useful).toBeLessThan(1.05 * kept);
    expect(goodput.seconds.recomputed).toBeGreaterThan(0.95 * (compute(events) - kept));
    // The surviving worker may have returned before the record was written.
    const resumed = events.findLast((event) => event.type === 'run-resumed');
    expect([0, 1]).toContain(resumed?.goodput?.readyWorkers);
  });

  it('let a worker leave with code 0 on SIGTERM when it is asked to', async () => {
    const handle = await cluster.start(realConfig());
    const leaving = worker(handle.grpcAddress);
    await cluster.event('step');
    leaving.child.kill('SIGTERM');
    expect(await leaving.exit).toBe(0);
    expect((await cluster.event('worker', ({ change }) => change === 'left')).detail).toBe('goodbye');
  });
});
