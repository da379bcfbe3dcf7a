/**
 * @file Runs one sweep twice: in peace, and with its workers and its coordinator killed (SIGKILL) at random times and the sweep resumed;
 * compares decisions, candidates and values, and counts measurements in the journal.
 *
 *   node --import tsx bench/sweep-chaos.ts SWEEP.yaml [--workers 2] [--seconds 20] [--seed 1] [--nats] [-- further arguments of `sweep`]
 *
 * `--seconds` is the mean time between kills; one in three kills is the coordinator's. With `--nats` the second sweep is kept on a NATS
 * server of its own (see scripts/get-nats-server.sh), which is killed as often and started again after a second.
 * Linux only: children are found in /proc.
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
import { type NatsServer, startNatsServer } from '../test/support/nats-server.ts';
import { CLI, requireBuild } from './built-command.ts';

interface Outcome {
  readonly decisionsSha256: string;
  /** Candidate, seed, rung and values of each measurement. */
  readonly measurements: readonly string[];
}

interface Kills {
  readonly workers: number;
  readonly coordinators: number;
  readonly servers: number;
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
    nats: { type: 'boolean', default: false },
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
const server = options.nats ? await startNatsServer() : undefined;
const kills = await runWithKills(server);
await server?.close();
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
async function runWithKills(nats: NatsServer | undefined): Promise<Kills> {
  const random = new Random('order', Number(options.seed));
  const kills = { workers: 0, coordinators: 0, servers: 0 };
  const place = nats === undefined ? [] : ['--nats', nats.url, '--id', 'chaos'];
  const command = ['sweep', '-c', file as string, '--set', `sweepsFolder=${chaos}`, ...place, ...common, ...theirs];
  let child = start(command);
  let exited = once(child, 'exit');
  for (;;) {
    // Exponential, so that kills come in any phase.
    const pause = sleep(-Math.log(1 - random.uniform()) * Number(options.seconds) * 1000, 'due');
    if ((await Promise.race([pause, exited])) !== 'due') return kills;
    const folder = await sweepFolder(chaos);
    if (folder === undefined) continue;
    const kind = Math.floor(random.uniform() * 3);
    if (kind === 0) {
      child.kill('SIGKILL');
      await exited;
      kills.coordinators += 1;
      child = start(nats === undefined ? ['sweep', 'resume', folder, ...common] : command);
      exited = once(child, 'exit');
    } else if (kind === 1 && nats !== undefined) {
      await nats.kill();
      await sleep(1000);
      await nats.restart();
      kills.servers += 1;
    } else {
      const workers = await childrenOf(child.pid as number);
      const victim = workers[Math.floor(random.uniform() * workers.length)];
      if (victim === undefined) continue;
      process.kill(victim, 'SIGKILL');
      kills.workers += 1;
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
