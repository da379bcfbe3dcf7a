/**
 * @file Runs one sweep twice: in peace, and with its workers and its coordinator killed (SIGKILL) at random times and the sweep resumed;
 * compares decisions, candidates and values, and counts measurements in the journal.
 *
 *   node --import tsx bench/sweep-chaos.ts SWEEP.yaml [--workers 2] [--seconds 20] [--seed 1] [-- further arguments of `sweep`]
 *
 * `--seconds` is the mean time between kills; one in three kills is the coordinator's. Linux only: children are found in /proc.
 * Exit code 0 = the same; 1 = a difference, or a measurement that stands twice in the journal.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Random } from '../src/core/index.ts';
import { CLI, requireBuild } from './built-command.ts';

interface Outcome {
  readonly decisionsSha256: string;
  /** Candidate, seed, rung and values of each measurement. */
  readonly measurements: readonly string[];
}

requireBuild();
const split = process.argv.indexOf('--');
const [ours, theirs] = split < 0 ? [process.argv.slice(2), []] : [process.argv.slice(2, split), process.argv.slice(split + 1)];
const { values: options, positionals } = parseArgs({
  args: ours,
  allowPositionals: true,
  options: {
    workers: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
  },
});
const [file] = positionals;
if (file === undefined) throw new Error('give a sweep file');

const root = await mkdtemp(join(tmpdir(), 'sweep-chaos-'));
const common = ['--workers', options.workers];
const peace = join(root, 'peace');
const chaos = join(root, 'chaos');
const peaceStartedMs = performance.now();
await once(start(['sweep', '-c', file, '--set', `sweepsFolder=${peace}`, ...common, ...theirs]), 'exit');
const peaceSeconds = (performance.now() - peaceStartedMs) / 1000;
const chaosStartedMs = performance.now();
const kills = await runWithKills();
const chaosSeconds = (performance.now() - chaosStartedMs) / 1000;
const [expected, got] = [await outcomeIn(peace), await outcomeIn(chaos)];
const twice = got.measurements.length - new Set(got.measurements).size;
const isSame = expected.decisionsSha256 === got.decisionsSha256 && sorted(expected) === sorted(got);
console.log(
  JSON.stringify({
    ...{ file, seed: Number(options.seed), workers: Number(options.workers), further: theirs, kills },
    ...{ peaceSeconds, chaosSeconds, measurements: got.measurements.length, twice, isSame },
    ...{ decisions: [expected.decisionsSha256, got.decisionsSha256], folder: root },
  }),
);
process.exitCode = isSame && twice === 0 ? 0 : 1;

/** The sweep with kills, until it has ended by itself. */
async function runWithKills(): Promise<{ readonly workers: number; readonly coordinators: number }> {
  const random = new Random('order', Number(options.seed));
  const count = { workers: 0, coordinators: 0 };
  let child = start(['sweep', '-c', file as string, '--set', `sweepsFolder=${chaos}`, ...common, ...theirs]);
  for (;;) {
    const exited = once(child, 'exit');
    // Exponential, so that kills come in any phase.
    const pause = sleep(-Math.log(1 - random.uniform()) * Number(options.seconds) * 1000, 'due');
    if ((await Promise.race([pause, exited])) !== 'due') return count;
    const workers = await childrenOf(child.pid as number);
    const victim = workers[Math.floor(random.uniform() * workers.length)];
    const folder = await sweepFolder(chaos);
    if (folder !== undefined && random.uniform() < 1 / 3) {
      child.kill('SIGKILL');
      await exited;
      count.coordinators += 1;
      child = start(['sweep', 'resume', folder, ...common]);
    } else if (victim !== undefined) {
      process.kill(victim, 'SIGKILL');
      count.workers += 1;
    }
  }
}

function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

/** @returns undefined before it has a journal */
async function sweepFolder(parent: string): Promise<string | undefined> {
  for (const name of await readdir(parent).catch(() => [])) {
    const folder = join(parent, name);
    if ((await readdir(folder)).includes('sweep.jsonl')) return folder;
  }
  return undefined;
}

async function outcomeIn(parent: string): Promise<Outcome> {
  const folder = await sweepFolder(parent);
  if (folder === undefined) throw new Error(`no sweep in ${parent}`);
  const { decisionsSha256 } = JSON.parse(await readFile(join(folder, 'sweep.json'), 'utf8')) as { decisionsSha256: string };
  const lines = (await readFile(join(folder, 'sweep.jsonl'), 'utf8')).trim().split('\n');
  const measurements = lines.flatMap((line) => {
    const { event } = JSON.parse(line) as { event: Record<string, unknown> };
    const { type, candidate, seedIndex, rung, values, details } = event;
    return type === 'trial-measured' ? [JSON.stringify({ candidate, seedIndex, rung, values, details })] : [];
  });
  return { decisionsSha256, measurements };
}

function sorted({ measurements }: Outcome): string {
  return [...measurements].sort().join('\n');
}
