/**
 * @file Interleavings that broke other orchestrators, each as a script; the number is that of the peer's issue. The checker of the
 * simulation looks at every event, and the final weights must be those of one machine.
 */
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import { ScriptedWorker } from './scripted-worker.ts';
import { Simulation, type Tally } from './simulation.ts';

const STEPS = 4;

type Cluster = Partial<Config['cluster']>;

/** A run without workers, whose coordinator takes connections. */
async function prepared(shards: number, cluster: Cluster = {}, trace?: (line: string) => void): Promise<Simulation> {
  const simulation = new Simulation({
    seed: 7,
    recipe: { shards, optimizer: 'adam', steps: STEPS, everySteps: 1 },
    workers: 0,
    config: (config) => ({ ...config, cluster: { ...config.cluster, ...cluster }, checkpoint: { ...config.checkpoint, everySteps: 1 } }),
    trace,
  });
  await reachable(simulation);
  return simulation;
}

async function reachable(simulation: Simulation): Promise<void> {
  await simulation.until(() => simulation.coordinator !== undefined);
}

const join = (simulation: Simulation, name: string) => new ScriptedWorker(simulation, name).ready();

/** Until each has so many train tasks. */
const untilTasks = (simulation: Simulation, tasks: number, ...workers: ScriptedWorker[]) =>
  simulation.until(() => workers.every((worker) => worker.tasks.length >= tasks));

const passed = async (simulation: Simulation, ms: number): Promise<void> => {
  const untilMs = simulation.clock.nowMs() + ms;
  simulation.clock.setTimer(ms, () => {});
  await simulation.until(() => simulation.clock.nowMs() >= untilMs);
};

async function ends(simulation: Simulation, ...workers: ScriptedWorker[]): Promise<Tally> {
  for (const worker of workers) worker.work();
  return simulation.finish();
}

describe('interleavings of other systems', () => {
  it.each([true, false])('disco#1221: A submits (%s) and disconnects, B and C submit, D has connected meanwhile', async (submits) => {
    const simulation = await prepared(3, { minWorkers: 3 });
    const [a, b, c] = [join(simulation, 'a'), join(simulation, 'b'), join(simulation, 'c')];
    await untilTasks(simulation, 1, a, b, c);
    if (submits) a.train(a.tasks[0]!);
    a.disconnect();
    b.train(b.tasks[0]!);
    const d = join(simulation, 'd');
    c.train(c.tasks[0]!);
    await ends(simulation, b, c, d);
    const first = simulation.checker.history.find((event) => event.type === 'step-committed');
    expect(first?.blocks.some(({ workerId }) => workerId === 'a')).toBe(submits);
  });

  it('horovod#3494: fewer survivors than minWorkers end the step, the next one waits for a newcomer', async () => {
    const simulation = await prepared(2, { minWorkers: 2 });
    const [a, b] = [join(simulation, 'a'), join(simulation, 'b')];
    await untilTasks(simulation, 1, a, b);
    b.disconnect();
    a.work();
    await passed(simulation, 1_000);
    const committed = () => simulation.checker.history.filter(({ type }) => type === 'step-committed').length;
    expect(committed()).toBe(1);
    await ends(simulation, join(simulation, 'c'));
  });

  it('optuna#4234, #5470: a slow worker that was declared dead returns with a late gradient', async () => {
    const simulation = await prepared(1);
    const a = join(simulation, 'a');
    await untilTasks(simulation, 1, a);
    a.silent = true;
    const b = join(simulation, 'b');
    await untilTasks(simulation, 1, b);
    a.train(a.tasks[0]!, { wrong: true });
    expect(a.refused).toEqual(['PROTOCOL_STALE_LEASE']);
    a.silent = false;
    await ends(simulation, a, b);
  });

  it.todo('ray#30861, katib: the searcher of a sweep goes on after a restart of its coordinator');
  it.todo('wandb#5215, #7749: N agents that ask at once get N distinct configs');
  it.todo('wandb#5247: a grid of more than 500 points ends and does not wrap');
  it.todo('wandb#4283, #3513: a failed grid point is run again alone');

  it('pytorch#67742: the host of the coordinator is lost', async () => {
    const simulation = await prepared(2);
    const workers = [join(simulation, 'a').work(), join(simulation, 'b').work()];
    await untilTasks(simulation, 3, ...workers);
    simulation.stopCoordinator(true, 5_000);
    await reachable(simulation);
    const tally = await ends(simulation, join(simulation, 'a'), join(simulation, 'b'));
    expect([tally.lives, tally.resumes]).toEqual([2, 1]);
  });

  it('torchft#63: a dead member whose connection stays open holds a step up for one lease at most', async () => {
    const simulation = await prepared(2);
    const [a, b] = [join(simulation, 'a'), join(simulation, 'b')];
    await untilTasks(simulation, 1, a, b);
    b.silent = true;
    const startMs = simulation.clock.nowMs();
    a.work();
    await untilTasks(simulation, 3, a);
    expect(simulation.clock.nowMs() - startMs).toBeLessThan(simulation.config.cluster.leaseMs * 2);
    await ends(simulation, a);
  });

  it('dlrover#770: after a resume only some workers are there in time; the others get the same parameters', async () => {
    const simulation = await prepared(2);
    const old = [join(simulation, 'a').work(), join(simulation, 'b').work()];
    await untilTasks(simulation, 3, ...old);
    const late = old[1]!.tasks.at(-1)!;
    simulation.stopCoordinator(false, 100);
    await reachable(simulation);
    const a = join(simulation, 'a');
    await untilTasks(simulation, 1, a);
    const b = join(simulation, 'b');
    // What it computed for the coordinator that is gone, from parameters that may be void by now.
    b.train(late, { wrong: true });
    expect(b.refused).toEqual(['PROTOCOL_STALE_LEASE']);
    await ends(simulation, a, b);
    for (const { received } of [a, b]) {
      const steps = received.flatMap((message, index) =>
        'body' in message && message.body === 'trainTask' ? [[message.trainTask.step, index]] : [],
      );
      for (const [step, index] of steps)
        expect(received.slice(0, index).findLast((message) => 'values' in message)).toMatchObject({ version: step });
    }
  });

  it('nni#4122: the disk is full: the run stops, and goes on when there is room', async () => {
    const simulation = await prepared(2);
    join(simulation, 'a').work();
    const b = join(simulation, 'b').work();
    await untilTasks(simulation, 2, b);
    simulation.disk.full = true;
    await simulation.until(() => simulation.tally['ended: STORAGE_FAILED'] === 1);
    expect(b.received.at(-1)).toMatchObject({ body: 'finish', finish: { state: 'failed' } });
    await reachable(simulation);
    const tally = await ends(simulation, join(simulation, 'a'));
    expect(tally.lives).toBe(2);
  });

  it('flower#4147: a wait for minWorkers says so, again and again', async () => {
    const simulation = await prepared(2, { minWorkers: 2 });
    const a = join(simulation, 'a').work();
    await passed(simulation, 25_000);
    expect(simulation.tally['waiting notices']).toBeGreaterThanOrEqual(3);
    expect(a.tasks).toEqual([]);
    await ends(simulation, a, join(simulation, 'b'));
  });

  it('nats-io/nats-server#4786: a late acknowledgement of an earlier delivery is none of the present one', async () => {
    const simulation = await prepared(1);
    const a = join(simulation, 'a');
    await untilTasks(simulation, 1, a);
    const [earlier] = a.tasks;
    a.silent = true;
    await passed(simulation, simulation.config.cluster.leaseMs * 2);
    a.silent = false;
    a.giveUp(earlier!);
    await untilTasks(simulation, 2, a);
    const present = a.tasks[1]!;
    expect(present.leaseEpoch).toBeGreaterThan(earlier!.leaseEpoch);
    a.train(earlier!, { wrong: true });
    a.train(present, { wrong: true, epoch: earlier!.leaseEpoch });
    expect(a.refused).toEqual(['PROTOCOL_STALE_LEASE', 'PROTOCOL_STALE_LEASE']);
    await ends(simulation, a);
  });
});
