/**
 * @file Whole runs over a simulated clock, network and disk, each from a seed. DEEPDEFENSE_SIMULATION_SEEDS says how many;
 * DEEPDEFENSE_SIMULATION_SEED=n replays one and prints what happens.
 */
import { describe, expect, it } from 'vitest';
import { runSeed } from './seeded-run.ts';
import type { Tally } from './simulation.ts';

const SEEDS = Number(process.env.DEEPDEFENSE_SIMULATION_SEEDS ?? 2_000);
const REPLAY = process.env.DEEPDEFENSE_SIMULATION_SEED;

/** What must have happened at least so often in a thousand seeds, else the test shows little; about a third of what does. */
const LEAST_PER_THOUSAND: Readonly<Record<string, number>> = {
  lives: 1_000,
  resumes: 250,
  'runs begun again': 400,
  recomputed: 200,
  'coordinator crashes': 200,
  'power cuts': 200,
  cutTails: 200,
  tornWrites: 250,
  lostRecords: 1_000,
  lostBytes: 10_000,
  failedWrites: 200,
  slowWrites: 250,
  'ended: STORAGE_FAILED': 150,
  'ended: WORKERS_LOST': 8,
  'ended: ENGINE_FAILED': 8,
  'ended: stopped': 150,
  'killed workers': 400,
  freezes: 500,
  partitions: 500,
  'broken connections': 180,
  reconnects: 800,
  goodbyes: 400,
  newcomers: 500,
  'duplicated messages': 200,
  'other order': 9_000,
  'forged answers': 300,
  stale: 800,
  duplicates: 50,
  superseded: 30,
  expired: 240,
  quarantines: 100,
};

const replayCommand = (seed: number) =>
  `DEEPDEFENSE_SIMULATION_SEED=${seed} npx vitest run --project simulation test/simulation/simulation.test.ts`;

describe.skipIf(REPLAY !== undefined)('simulated runs', () => {
  it(`end with the weights of one machine, whatever happens, in ${SEEDS} seeds`, async () => {
    const totals: Tally = {};
    for (let seed = 0; seed < SEEDS; seed++) {
      const tally = await runSeed(seed).catch((error: unknown) => {
        const what = error instanceof Error ? error.message : String(error);
        throw new Error(`seed ${seed}: ${what}\nreplay it with: ${replayCommand(seed)}`, { cause: error });
      });
      for (const [name, count] of Object.entries(tally)) totals[name] = (totals[name] ?? 0) + count;
      // The test runner wants to be heard now and then.
      if (seed % 100 === 0) await new Promise(setImmediate);
    }
    const rare = Object.entries(LEAST_PER_THOUSAND).filter(([name, least]) => (totals[name] ?? 0) < Math.floor((least * SEEDS) / 1_000));
    expect(
      rare.map(([name]) => `${name}: ${totals[name] ?? 0}`),
      'faults that were too rare',
    ).toEqual([]);
  });

  it('are the same each time', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const [first, second]: [string[], string[]] = [[], []];
      await runSeed(seed, (line) => first.push(line));
      await runSeed(seed, (line) => second.push(line));
      expect(second).toEqual(first);
    }
  });
});

describe.runIf(REPLAY !== undefined)('simulated run', () => {
  it(`of seed ${REPLAY}`, async () => {
    const lines: string[] = [];
    await runSeed(Number(REPLAY), (line) => lines.push(line)).finally(() => console.log(lines.join('\n')));
  });
});
