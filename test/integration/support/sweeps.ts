/** @file Sweeps in a folder of commands: their files, what they have written, and what must be equal of two. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readJournal, type SweepEvent, type TrialMeasured } from '../../../src/journal/index.ts';
import type { SweepRecord } from '../../../src/sweeps/index.ts';
import type { CommandFolder, RunningCommand } from './command.ts';

/** A test function; its decisions depend on its results, and it takes some seconds. */
export const FUNCTION_SWEEP = `
name: branin
function: branin
functionSeconds: 0.15
space:
  x1: {type: float, low: 0, high: 1}
  x2: {type: float, low: 0, high: 1}
objectives: [{name: value}]
rungs: [{epochs: 1}, {epochs: 3}]
sampler: {name: tpe, startup: 5}
scheduler: {name: asha}
budget: {candidates: 24}
lanes: 4
leaseMs: 1500
`;

/** @returns the file's name in the folder */
export async function writeSweep(folder: CommandFolder, text: string, name = 'sweep.yaml'): Promise<string> {
  await writeFile(join(folder.path, name), text);
  return name;
}

export async function readRecord(folder: CommandFolder, out: string): Promise<SweepRecord> {
  return JSON.parse(await readFile(join(folder.path, out, 'sweep.json'), 'utf8')) as SweepRecord;
}

export async function readEvents(folder: CommandFolder, out: string): Promise<SweepEvent[]> {
  const { records } = await readJournal<SweepEvent>(join(folder.path, out, 'sweep.jsonl'));
  return records.map(({ event }) => event);
}

/** What may not depend on what happened on the way, nor on where the sweep is kept. */
export function essence({ candidates, decisionsSha256 }: SweepRecord) {
  return {
    decisionsSha256,
    candidates: candidates.map(({ candidate, parameters, state, measurements, trials }) => ({
      ...{ candidate, parameters, state, trials },
      measured: measurements.map(({ seed, rung, values, details }) => ({ seed, rung, values, details })),
    })),
  };
}

/** Process ids of the workers that a sweep has started. */
export async function workersOf(command: RunningCommand): Promise<number[]> {
  const children = await readFile(`/proc/${command.child.pid}/task/${command.child.pid}/children`, 'utf8');
  return children.trim().split(/\s+/).map(Number);
}

export async function expectEachMeasuredOnce(folder: CommandFolder, out: string): Promise<void> {
  const measured = (await readEvents(folder, out)).filter((event): event is TrialMeasured => event.type === 'trial-measured');
  const keys = measured.map(({ trial, rung }) => `${trial}.${rung}`);
  expect(keys.length).toBeGreaterThan(0);
  expect(keys).toHaveLength(new Set(keys).size);
}
