/** @file A pool of workers for all sweeps of a NATS server: sweeps that begin and end, priorities, quotas, and commands from elsewhere. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NatsLink, openNatsLink } from '../../src/journal/index.ts';
import {
  openJetStreamQueue,
  openJetStreamSource,
  openQuotas,
  setQuota,
  SweepPool,
  SweepRegistry,
  type TaskQueue,
} from '../../src/queue/index.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { CommandFolder } from './support/command.ts';
import { expectEachMeasuredOnce, FUNCTION_SWEEP, readEvents, readRecord, writeSweep } from './support/sweeps.ts';

let server: NatsServer;
const closers: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  if (NATS_SERVER !== undefined) server = await startNatsServer();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await server?.close();
});

const never = new AbortController().signal;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function openLink(): Promise<NatsLink> {
  const link = await openNatsLink({ servers: server.url, patienceMs: 20_000 });
  closers.push(() => link.close());
  return link;
}

/** A sweep without a coordinator: its entry, its queue and so many tasks. */
async function makeSweep(link: NatsLink, sweepId: string, tenant: string, priority: number, tasks: number): Promise<TaskQueue> {
  await openQuotas(link);
  const registry = await SweepRegistry.open(link);
  const standing = { state: 'running', startedAt: new Date().toISOString(), measurements: 0, candidates: 0, budget: tasks } as const;
  await registry.put({ sweep: sweepId, tenant, priority, ...standing });
  const retries = { errors: 1, preemptions: 1 };
  const queue = await openJetStreamQueue({ link, sweepId, definition: 'd', leaseMs: 3_000, retries });
  closers.push(() => queue.close());
  for (let i = 0; i < tasks; i++) await queue.publish({ id: `${sweepId}-${i}`, payload: '' });
  return queue;
}

/** What simulated workers have done: seconds by sweep, and how many were at work at a time by tenant. */
class Log {
  readonly seconds: Record<string, number> = {};
  readonly most: Record<string, number> = {};
  readonly #now: Record<string, number> = {};

  begin(tenant: string): void {
    this.#now[tenant] = (this.#now[tenant] ?? 0) + 1;
    this.most[tenant] = Math.max(this.most[tenant] ?? 0, this.#now[tenant]);
  }

  end(tenant: string, sweep: string, ms: number): void {
    this.#now[tenant] = (this.#now[tenant] ?? 0) - 1;
    this.seconds[sweep] = (this.seconds[sweep] ?? 0) + ms / 1000;
  }
}

const tenantOf = (sweep: string) => sweep.split('_')[0] as string;

/** A worker of the pool that sleeps for its tasks, until the signal. */
async function work(name: string, link: NatsLink, log: Log, signal: AbortSignal, ms: number): Promise<void> {
  const pool = new SweepPool({ link, patterns: [{ pattern: '*', weight: undefined }] });
  try {
    for (;;) {
      const claim = await pool.claim(name, signal);
      if (claim === undefined) return;
      const sweep = claim.task.id.replace(/-\d+$/, '');
      const tenant = tenantOf(sweep);
      log.begin(tenant);
      await sleep(ms);
      log.end(tenant, sweep, ms);
      await claim.commit('');
    }
  } finally {
    await pool.close();
  }
}

describe.skipIf(NATS_SERVER === undefined)(`pool of workers on NATS${NATS_SKIPPED}`, () => {
  it('shares the time equally among tenants, and by priority within one', async () => {
    const link = await openLink();
    await makeSweep(link, 'a_1', 'a', 3, 200);
    await makeSweep(link, 'a_2', 'a', 1, 200);
    await makeSweep(link, 'b_1', 'b', 1, 200);
    const log = new Log();
    const signal = AbortSignal.timeout(10_000);
    await Promise.all([0, 1, 2].map(async (i) => work(`w${i}`, await openLink(), log, signal, 200)));
    const { a_1 = 0, a_2 = 0, b_1 = 0 } = log.seconds;
    const all = a_1 + a_2 + b_1;
    expect(all).toBeGreaterThan(6);
    expect(b_1 / all).toBeGreaterThan(0.4);
    expect(b_1 / all).toBeLessThan(0.6);
    expect(a_1 / (a_1 + a_2)).toBeGreaterThan(0.6);
    expect(a_1 / (a_1 + a_2)).toBeLessThan(0.88);
  });

  it("never has more of a tenant's trials under way than its quota, serves all its sweeps, and others meanwhile", async () => {
    const link = await openLink();
    await makeSweep(link, 'a_1', 'a', 1, 60);
    await makeSweep(link, 'a_2', 'a', 1, 60);
    await makeSweep(link, 'b_1', 'b', 1, 60);
    await setQuota(link, 'a', 2);
    const log = new Log();
    const signal = AbortSignal.timeout(12_000);
    // Two that serve one sweep each compete with those that serve all.
    const single = async (sweepId: string): Promise<void> => {
      const source = await openJetStreamSource({ link: await openLink(), sweepId });
      for (let claim = await source.claim(sweepId, signal); claim !== undefined; claim = await source.claim(sweepId, signal)) {
        log.begin('a');
        await sleep(150);
        log.end('a', `single ${sweepId}`, 150);
        await claim.commit('');
      }
      await source.close();
    };
    const pooled = [0, 1, 2, 3].map(async (i) => work(`w${i}`, await openLink(), log, signal, 150));
    await Promise.all([...pooled, single('a_1'), single('a_2')]);
    expect(log.most.a).toBe(2);
    expect(log.most.b).toBeGreaterThan(2);
    expect((log.seconds.a_1 ?? 0) + (log.seconds['single a_1'] ?? 0)).toBeGreaterThan(0.9);
    expect((log.seconds.a_2 ?? 0) + (log.seconds['single a_2'] ?? 0)).toBeGreaterThan(0.9);
    expect(log.seconds.b_1 ?? 0).toBeGreaterThan(3);
  });

  it('gives the room of a worker that died to another one, and lets a limit be lifted', async () => {
    const link = await openLink();
    const queue = await makeSweep(link, 'a_1', 'a', 1, 3);
    void (async () => {
      for await (const _ of queue.ends());
    })();
    await setQuota(link, 'a', 1);
    const dead = await openJetStreamSource({ link: await openLink(), sweepId: 'a_1' });
    expect(await dead.claim('dead', never)).toBeDefined();
    const alive = await openJetStreamSource({ link: await openLink(), sweepId: 'a_1' });
    closers.push(() => alive.close());
    expect(await alive.claim('alive', AbortSignal.timeout(1_000))).toBeUndefined();
    // Its claim runs out: nobody extends it.
    const claim = await alive.claim('alive', AbortSignal.timeout(15_000));
    expect(claim).toBeDefined();
    await setQuota(link, 'a', undefined);
    expect(await dead.claim('other', AbortSignal.timeout(5_000))).toBeDefined();
    await claim?.commit('');
    await dead.close();
  });
});

describe.skipIf(NATS_SERVER === undefined)(`sweeps of a platform${NATS_SKIPPED}`, () => {
  let folder: CommandFolder;
  beforeEach(async () => {
    folder = await CommandFolder.create();
  });
  afterEach(() => folder.close());

  it('are served by a worker that was there before, one after the other, and listed, controlled and deleted from elsewhere', async () => {
    const nats = ['--nats', server.url];
    const worker = folder.start('worker', ...nats, '--sweep', 'team-*', '--json');
    await worker.seen('at work for sweeps');
    const file = await writeSweep(
      folder,
      `${FUNCTION_SWEEP.replace('functionSeconds: 0.15', 'functionSeconds: 3').replace('candidates: 24', 'candidates: 8')}tenant: team\n`,
    );
    const first = folder.start('sweep', '-c', file, ...nats, '--id', 'team-1', '--workers', '0', '--set', 'budget.candidates=2');
    expect(await first.done).toMatchObject({ code: 0 });
    await expectEachMeasuredOnce(folder, 'sweeps/team-1');
    const second = folder.start('sweep', '-c', file, ...nats, '--id', 'team-2', '--out', 'second', '--workers', '0');
    await second.seen('| 1 measurements');
    expect(worker.child.exitCode).toBeNull();
    const listed = JSON.parse((await folder.run('sweep', 'list', ...nats, '--json')).stdout) as { sweeps: Record<string, unknown>[] };
    expect(listed.sweeps).toMatchObject([
      { sweep: 'team-1', state: 'completed', tenant: 'team', priority: 1, leader: null },
      { sweep: 'team-2', state: 'running', tenant: 'team', budget: 8, leader: { processId: second.child.pid } },
    ]);
    // This machine has no folder of that name: the coordinator is asked on NATS.
    expect(await folder.run('sweep', 'priority', 'team-2', '3', ...nats)).toMatchObject({ code: 0 });
    expect((await folder.run('sweep', 'list', ...nats)).stdout).toMatch(/team-2 +│ running +│ team +│ 3 /);
    const inUse = await folder.run('sweep', 'delete', 'team-2', '--yes', ...nats);
    expect(inUse).toMatchObject({ code: 10 });
    expect((await folder.run('sweep', 'stop', 'team-2', ...nats)).code).toBe(0);
    expect(await second.done).toMatchObject({ code: 0 });
    expect(await folder.run('sweep', 'priority', 'second', '0.5')).toMatchObject({ code: 0 });
    const events = await readEvents(folder, 'second');
    expect(events.filter((event) => event.type === 'sweep-controlled')).toMatchObject([
      { action: 'priority', priority: 3 },
      { action: 'priority', priority: 0.5 },
    ]);
    expect(await folder.run('sweep', 'resume', 'second', ...nats, '--workers', '0')).toMatchObject({ code: 0 });
    expect(await folder.run('sweep', '-c', file, '--out', 'calm')).toMatchObject({ code: 0 });
    expect((await readRecord(folder, 'second')).decisionsSha256).toBe((await readRecord(folder, 'calm')).decisionsSha256);
    expect(await folder.run('sweep', 'delete', 'team-2', ...nats)).toMatchObject({ code: 2 });
    expect(await folder.run('sweep', 'delete', 'team-2', '--yes', ...nats)).toMatchObject({ code: 0 });
    expect((await folder.run('sweep', 'list', ...nats)).stdout).not.toContain('team-2');
    expect(await folder.run('sweep', 'delete', 'team-2', '--yes', ...nats)).toMatchObject({ code: 5 });
    expect(await folder.run('quota', 'set', 'team', '4', ...nats)).toMatchObject({ code: 0 });
    expect((await folder.run('quota', 'list', ...nats, '--json')).stdout).toContain('"parallel": 4');
    expect(await folder.run('sweep', '-c', file, ...nats, '--id', 'leaders')).toMatchObject({ code: 2 });
    worker.child.kill('SIGTERM');
    expect((await worker.done).code).toBe(0);
  }, 300_000);
});
