/**
 * @file Training over a slow network: a coordinator and two workers of the built command line (dist/), each worker behind a proxy that
 * delays and limits what passes, with gradients averaged in every step, in bfloat16, and with local steps (config section `sync`).
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { DeepDefenseError, isDeepDefenseError } from '../src/core/index.ts';
import { CLI, requireBuild } from './built-command.ts';
import { describeMachine } from './machine.ts';
import { wholeNumber } from './options.ts';
import { type Spread, spreadOf } from './statistics.ts';

const HELP = `Times training of two workers behind slow connections, turn by turn.

  npm run build && node --import tsx bench/slow-network.ts [--model vgg6] [--steps 40] [--mbit 100] [--delay-ms 20] [--repeats 3] [--json]

  --model     vgg6 (default) or cnn3, strategy deep, batches of 128
  --steps     training steps of one run; default 40, a multiple of 20
  --mbit      megabits per second of each worker's connection and direction; default 100
  --delay-ms  of each direction; default 20
  --repeats   runs per setting; default 3
  --json      one JSON document on stdout, progress on stderr`;

const WORKERS = 2;

/** What is compared; the first is the baseline. */
const SETTINGS = [
  { name: 'every step, float32', set: [] },
  { name: 'every step, bfloat16', set: ['train.gradients=bfloat16'] },
  { name: 'every 5 steps', set: ['sync.everySteps=5'] },
  { name: 'every 20 steps', set: ['sync.everySteps=20'] },
  { name: 'every 20 steps, state reset', set: ['sync.everySteps=20', 'sync.innerState=reset'] },
] as const;

interface Network {
  readonly mbit: number;
  readonly delayMs: number;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function startProxy(children: ChildProcess[], port: number, { mbit, delayMs }: Network): Promise<number> {
  const args = [port, delayMs, (mbit * 1e6) / 8].map(String);
  const child = fork(fileURLToPath(new URL('delay-proxy.ts', import.meta.url)), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port));
    child.once('exit', (code) => reject(new DeepDefenseError('INTERNAL', { what: `the proxy ended with exit code ${code}` })));
  });
}

function startCommand(
  children: ChildProcess[],
  args: readonly string[],
): { readonly child: ChildProcess; readonly ended: Promise<string> } {
  const child = spawn(process.execPath, ['--v8-pool-size=0', CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString('utf8')));
  child.stderr.on('data', (data: Buffer) => (stderr = (stderr + data.toString('utf8')).slice(-4_000)));
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(stdout);
      else reject(new DeepDefenseError('INTERNAL', { what: `deepdefense ${args[0]} ended with exit code ${code}`, got: stderr }));
    });
  });
  return { child, ended };
}

/** Samples per second of one run. */
async function train(model: string, steps: number, settings: readonly string[], network: Network, folder: string): Promise<number> {
  const children: ChildProcess[] = [];
  try {
    const port = await freePort();
    const set = [
      `runsFolder=${folder}`,
      `model.name=${model}`,
      'strategy.name=deep',
      'data.source=synthetic',
      'data.testSamples=100',
      `train.maxSteps=${steps}`,
      'train.batchSize=128',
      'evaluation.everyEpochs=1000',
      `checkpoint.everySteps=${steps}`,
      `cluster.port=${port}`,
      `cluster.minWorkers=${WORKERS}`,
      ...settings,
    ].flatMap((setting) => ['--set', setting]);
    const coordinator = startCommand(children, ['coordinator', '--json', ...set]);
    const proxies = await Promise.all(Array.from({ length: WORKERS }, () => startProxy(children, port, network)));
    const workers = proxies.map((proxy) => startCommand(children, ['worker', '--json', '--coordinator', `127.0.0.1:${proxy}`]).ended);
    // Their failures show as the coordinator's, or as a run that waits for them.
    const failed = new Promise<never>((_, reject) => {
      for (const worker of workers) worker.catch(reject);
    });
    const { samplesPerSecond } = JSON.parse(await Promise.race([coordinator.ended, failed])) as { samplesPerSecond: number };
    await Promise.all(workers);
    return samplesPerSecond;
  } finally {
    for (const child of children) child.kill();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: 'vgg6' },
      steps: { type: 'string', default: '40' },
      mbit: { type: 'string', default: '100' },
      'delay-ms': { type: 'string', default: '20' },
      repeats: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  requireBuild();
  const steps = wholeNumber('steps', values.steps);
  const repeats = wholeNumber('repeats', values.repeats);
  const network = { mbit: wholeNumber('mbit', values.mbit), delayMs: wholeNumber('delay-ms', values['delay-ms']) };
  const speeds = SETTINGS.map((): number[] => []);
  const folder = mkdtempSync(join(tmpdir(), 'deepdefense-slow-network-'));
  try {
    for (let repeat = 0; repeat < repeats; repeat++)
      for (const [index, { name, set }] of SETTINGS.entries()) {
        const samplesPerSecond = await train(values.model, steps, set, network, folder);
        speeds[index]?.push(samplesPerSecond);
        process.stderr.write(`${name}: ${samplesPerSecond.toFixed(1)} samples/s\n`);
      }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const baseline = speeds[0] as number[];
  const rows = SETTINGS.map(({ name }, index) => {
    const measured = speeds[index] as number[];
    return { name, samplesPerSecond: spreadOf(measured), ratio: spreadOf(measured.map((speed, i) => speed / (baseline[i] as number))) };
  });
  const report = { machine: describeMachine(), model: values.model, steps, workers: WORKERS, ...network, repeats, rows };
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : `${formatRows(rows)}\n`);
}

function formatRows(rows: readonly { readonly name: string; readonly samplesPerSecond: Spread; readonly ratio: Spread }[]): string {
  const table = new Table({
    head: ['averaged', 'samples/s', 'ratio', 'min - max'],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { name, samplesPerSecond, ratio } of rows)
    table.push([name, samplesPerSecond.median.toFixed(1), ratio.median.toFixed(2), `${ratio.min.toFixed(2)} - ${ratio.max.toFixed(2)}`]);
  return table.toString();
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = isDeepDefenseError(error) ? error.exitCode : 1;
}
