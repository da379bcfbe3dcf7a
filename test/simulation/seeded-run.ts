/** @file A run that follows from its seed alone: what it is, who takes part and what goes wrong. */
import { type Action, chooseChaos, type Chaos } from './chaos.ts';
import { Simulation, type Tally } from './simulation.ts';
import { Random } from '../../src/core/index.ts';

/** Runs a seed to its end. @throws where an invariant is broken or the run doesn't end. */
export async function runSeed(seed: number, trace?: (line: string) => void): Promise<Tally> {
  const random = new Random('synthetic', seed);
  const chaos = chooseChaos(random);
  const workers = 1 + random.integer(4);
  const simulation = new Simulation({
    seed,
    recipe: {
      shards: [1, 2, 3, 5, 8][random.integer(5)] as number,
      optimizer: (['adam', 'sgd'] as const)[random.integer(2)] as 'adam' | 'sgd',
      steps: 4 + random.integer(7),
      everySteps: [1, 1, 2, 3][random.integer(4)] as number,
    },
    workers,
    config: (config) => ({
      ...config,
      checkpoint: { ...config.checkpoint, everySteps: 1 + random.integer(5), keep: 1 + random.integer(3), everySeconds: 0.3 },
      cluster: {
        ...config.cluster,
        minWorkers: 1 + random.integer(Math.min(2, workers)),
        maxWorkers: 2 + random.integer(8),
        workersLostMs: [500, 3_000][random.integer(2)] as number,
      },
    }),
    trace,
  });
  Object.assign(simulation.network, { duplicate: chaos.duplicate, slowestMs: chaos.slowestMs });
  const { fail, slow, forge, repeat, stale } = chaos;
  Object.assign(simulation.workerFaults, { fail, slow, forge, repeat, stale });
  simulation.expectFaultsUntil(chaos.untilMs);
  simulation.clock.setTimer(chaos.untilMs, () => simulation.calm());
  plan(simulation, chaos, simulation.clock.nowMs() + chaos.untilMs);
  return simulation.finish();
}

/** Something goes wrong, again and again. */
function plan(simulation: Simulation, chaos: Chaos, untilMs: number): void {
  const { clock, random } = simulation;
  clock.setTimer(random.integer(2 * chaos.everyMs), () => {
    if (clock.nowMs() >= untilMs || simulation.completed) return;
    const action = chaos.actions[random.integer(Math.max(1, chaos.actions.length))];
    if (action !== undefined) act(simulation, action);
    plan(simulation, chaos, untilMs);
  });
}

function act(simulation: Simulation, action: Action): void {
  const { random, clock, disk, workers } = simulation;
  const { leaseMs } = simulation.config.cluster;
  const worker = [...workers][random.integer(Math.max(1, workers.size))];
  simulation.trace(() => `chaos: ${action} ${worker?.name ?? ''}`);
  switch (action) {
    case 'kill-worker':
      if (worker !== undefined) simulation.count('killed workers');
      return worker?.die();
    case 'freeze-worker':
      if (worker !== undefined) simulation.count('freezes');
      return worker?.freeze(random.integer(leaseMs * 4));
    case 'partition-worker':
      return worker && simulation.partition(worker.name, random.integer(leaseMs * 5));
    case 'reset-connection':
      if (worker?.reset() === true) simulation.count('broken connections');
      return;
    case 'worker-leaves':
      if (worker !== undefined) simulation.count('goodbyes');
      return worker?.leave();
    case 'worker-joins':
      simulation.count('newcomers');
      return workers.size < 6 ? simulation.addWorker(0) : undefined;
    case 'kill-coordinator':
    case 'cut-power':
      if (random.integer(2) === 0) return simulation.stopCoordinatorIn(random.integer(80), action === 'cut-power');
      return simulation.stopCoordinatorAtChange(random.integer(16), action === 'cut-power');
    case 'fill-disk':
      simulation.count('full disks');
      disk.full = true;
      return void clock.setTimer(random.integer(1_000), () => {
        disk.full = false;
      });
    case 'slow-disk':
      disk.slowestMs = random.integer(800);
      return void clock.setTimer(random.integer(1_000), () => {
        disk.slowestMs = 2;
      });
    case 'stop-run':
      return simulation.requestStop();
    default:
      return action satisfies never;
  }
}
