import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type WorkerExit, WorkerProcesses } from '../../../src/cli/worker-processes.ts';

let folder: string;
let pool: WorkerProcesses | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'workers-'));
});
afterEach(async () => {
  pool?.killNow();
  pool = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** A pool whose workers run `script` in Node. */
function start(
  script: string,
  options: { count?: number; errors?: number; preemptions?: number; onExit?: (event: WorkerExit) => void } = {},
): WorkerProcesses {
  pool = new WorkerProcesses({
    count: 1,
    args: [],
    logFolder: join(folder, 'logs'),
    backoffMs: 10,
    command: [process.execPath, '-e', script],
    ...options,
  });
  return pool;
}

const IDLE = 'process.stdin.resume().on("end", () => process.exit(0))';

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const isAlive = (processId: number): boolean => {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
};

describe('WorkerProcesses', () => {
  it('workers: write stdout and stderr to a log each', async () => {
    start(`console.log("out"); console.error("err"); ${IDLE}`, { count: 2 });
    const log = (number: number) => readFile(join(folder, 'logs', `worker-${number}.log`), 'utf8');
    await until(async () => (await log(1)) === 'out\nerr\n' && (await log(2)) === 'out\nerr\n');
  });

  it('worker: is started again when it is killed', async () => {
    const exits: WorkerExit[] = [];
    const workers = start(IDLE, { onExit: (event) => exits.push(event) });
    const [first] = workers.processIds as [number];
    process.kill(first, 'SIGKILL');
    await until(() => exits.length === 1 && workers.processIds.length === 1);
    expect(exits[0]).toMatchObject({ worker: 1, processId: first, signal: 'SIGKILL', exitCode: null, restarts: true });
    expect(workers.processIds[0]).not.toBe(first);
  });

  it('worker: is given up when the budget of restarts is spent', async () => {
    const exits: WorkerExit[] = [];
    const workers = start('process.exit(1)', { errors: 2, onExit: (event) => exits.push(event) });
    const last = await workers.givenUp;
    expect(exits.map(({ restarts }) => restarts)).toEqual([true, true, false]);
    expect(last).toHaveLength(1);
    expect(last[0]).toMatchObject({ exitCode: 1, restarts: false });
  });

  it('worker: has a budget of its own for ends by signals', async () => {
    const exits: WorkerExit[] = [];
    const workers = start("process.kill(process.pid, 'SIGKILL')", { errors: 0, preemptions: 2, onExit: (event) => exits.push(event) });
    await workers.givenUp;
    expect(exits.map(({ signal, restarts }) => [signal, restarts])).toEqual([
      ['SIGKILL', true],
      ['SIGKILL', true],
      ['SIGKILL', false],
    ]);
  });

  it('worker: is not started again when starting can not mend it', async () => {
    const exits: WorkerExit[] = [];
    await start('process.exit(8)', { onExit: (event) => exits.push(event) }).givenUp;
    expect(exits).toHaveLength(1);
  });

  it('worker: that the command can not start is given up like one that dies', async () => {
    pool = new WorkerProcesses({
      count: 1,
      args: [],
      logFolder: folder,
      backoffMs: 1,
      errors: 1,
      command: [join(folder, 'no-such-program')],
    });
    const [last] = await pool.givenUp;
    expect(last).toMatchObject({ exitCode: null, signal: null });
  });

  it('worker: is not started again when it ends with success', async () => {
    const exits: WorkerExit[] = [];
    const workers = start('process.exit(0)', { onExit: (event) => exits.push(event) });
    await until(() => exits.length === 1);
    expect(exits[0]?.restarts).toBe(false);
    await workers.stop(1000);
    expect(exits).toHaveLength(1);
  });

  it('stop: waits for workers that end by themselves', async () => {
    const workers = start('setTimeout(() => process.exit(0), 150)');
    const startedMs = Date.now();
    await workers.stop(5000);
    expect(Date.now() - startedMs).toBeLessThan(3000);
    expect(workers.processIds).toEqual([]);
  });

  it('stop: terminates workers that stay', async () => {
    const workers = start('setInterval(() => {}, 1000)', { count: 2 });
    const ids = workers.processIds;
    expect(ids).toHaveLength(2);
    await workers.stop(50);
    expect(ids.filter(isAlive)).toEqual([]);
  });

  it('stop: is not undone by a restart that was due', async () => {
    const exits: WorkerExit[] = [];
    pool = new WorkerProcesses({
      count: 1,
      args: [],
      logFolder: folder,
      backoffMs: 50,
      command: [process.execPath, '-e', 'process.exit(1)'],
      onExit: (event) => exits.push(event),
    });
    await until(() => exits.length === 1);
    await pool.stop(1000);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(pool.processIds).toEqual([]);
    expect(exits).toHaveLength(1);
  });
});
