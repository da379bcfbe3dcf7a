/**
 * @file One small run, stopped at each position where the disk changes: before, in the middle of and after every write, sync, rename
 * and removal, the process alone or with the machine. Each time it must go on to the same weights, with a journal that an audit passes.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditRun } from '../../src/coordinator/index.ts';
import { JOURNAL } from './coordinator.ts';
import type { Recipe } from './arithmetic.ts';
import type { StopAt } from './disk.ts';
import { Simulation } from './simulation.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'positions-'));
});
afterAll(() => rm(folder, { recursive: true }));

type Stops = ReadonlyMap<number, { readonly at: StopAt; readonly power: boolean }>;

/** The run, stopped at these positions. */
function runOf(recipe: Recipe, stops: Stops, changes: string[] = []): Simulation {
  return new Simulation({
    seed: 1,
    recipe,
    workers: 2,
    config: (config) => ({ ...config, checkpoint: { ...config.checkpoint, everySteps: 2, keep: 1 } }),
    stopAt: (what) => {
      changes.push(what);
      return stops.get(changes.length - 1);
    },
  });
}

/** What an audit says of the journal that the run has left. */
async function audited(simulation: Simulation): Promise<string[]> {
  await writeFile(join(folder, JOURNAL), simulation.disk.peek(JOURNAL) ?? '');
  const { checks } = await auditRun(folder);
  // The simulation leaves neither weights nor samples in the folder.
  return checks
    .filter(({ name }) => name !== 'weights' && name !== 'dataset')
    .flatMap(({ name, findings }) => findings.map((finding) => `${name}: ${finding}`));
}

const RECIPES: readonly Recipe[] = [
  { shards: 3, optimizer: 'adam', steps: 6, everySteps: 1 },
  { shards: 3, optimizer: 'adam', steps: 11, everySteps: 2 },
];

/** Changes of the disk in undisturbed runs. */
const changesOf = await Promise.all(
  RECIPES.map(async (recipe) => {
    const changes: string[] = [];
    await runOf(recipe, new Map(), changes).finish();
    return { recipe, everySteps: recipe.everySteps, changes };
  }),
);

describe.each(changesOf)('a run that synchronises every $everySteps step(s) and is stopped at any position', ({ recipe, changes }) => {
  const positions = changes.map((what, position) => ({ what, position }));
  const small = (stops: Stops) => runOf(recipe, stops);

  it('has positions of every kind', () => {
    for (const what of [
      'open journal',
      'append to journal',
      'sync journal',
      'append to checkpoints',
      'sync checkpoints',
      'rename checkpoints',
      'remove checkpoints',
      'rename weights',
    ])
      expect(changes.filter((change) => change.startsWith(what)).length, what).toBeGreaterThan(0);
    expect(changes.length).toBeGreaterThan(60);
  });

  for (const power of [false, true]) {
    for (const at of ['before', 'torn', 'after'] as const) {
      it(`${power ? 'machine' : 'process'} stops ${at === 'torn' ? 'in the middle of' : at} any change of the disk`, async () => {
        for (const { what, position } of positions) {
          const simulation = small(new Map([[position, { at, power }]]));
          const tally = await simulation.finish().catch((error: unknown) => {
            throw new Error(`stopped ${at} ${position}, ${what}: ${String(error)}`, { cause: error });
          });
          expect([tally.lives, await audited(simulation)], `${at} ${position}, ${what}`).toEqual([2, []]);
        }
      });
    }
  }

  it('stops twice, the second time while it begins again', async () => {
    for (const { what, position } of positions) {
      for (const later of [1, 3, 6]) {
        const simulation = small(
          new Map([
            [position, { at: 'torn', power: position % 2 === 0 }],
            [position + later, { at: 'torn', power: later % 2 === 0 }],
          ]),
        );
        await simulation.finish().catch((error: unknown) => {
          throw new Error(`stopped at ${position}, ${what}, and ${later} later: ${String(error)}`, { cause: error });
        });
        expect(await audited(simulation), `${position}, ${what}, and ${later} later`).toEqual([]);
      }
    }
  });
});
