/**
 * @file Training speed with one and with two workers: `deepdefense train` of vgg6 with the deep strategy, turn by turn. Runs the built
 * command line (dist/), coordinator and gRPC included, and checks on the way that every run ended with the same weights.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { DeepDefenseError, isDeepDefenseError } from '../src/core/index.ts';
import { CLI, requireBuild } from './built-command.ts';
import { describeMachine } from './machine.ts';
import { wholeNumber } from './options.ts';
import { type Spread, spreadOf } from './statistics.ts';

const HELP = `Times \`deepdefense train\` (vgg6, deep) with one and two workers, alternating.

  npm run build && node --import tsx bench/scaling.ts [--steps 30] [--batch 128] [--repeats 3] [--workers 1,2] [--data FOLDER] [--json]

  --steps    training steps of one run; default 30
  --batch    samples of one step, a multiple of 16; default 128
  --repeats  runs per number of workers; default 3
  --workers  numbers of workers to compare; default 1,2
  --data     CIFAR-10 archive or folder; default: the built-in synthetic set
  --json     one JSON document on stdout, progress on stderr`;

/** Samples of a shard. */
const SHARD = 16;

interface RunOutcome {
  readonly samplesPerSecond: number;
  readonly weightsSha256: string;
  readonly engine: string;
}

interface ScalingRow {
  readonly workers: number;
  readonly samplesPerSecond: Spread;
  /** Against the first number of workers, turn by turn. */
  readonly speedup: Spread;
}

/** Runs one training and returns what its last JSON document says. */
async function train(workers: number, steps: number, batch: number, data: string | undefined, runsFolder: string): Promise<RunOutcome> {
  const source = data === undefined ? ['--set', 'data.source=synthetic'] : ['--set', 'data.source=cifar10', '--data', data];
  const settings = [
    `runsFolder=${runsFolder}`,
    'model.name=vgg6',
    'strategy.name=deep',
    `train.maxSteps=${steps}`,
    `train.batchSize=${batch}`,
    `train.shards=${batch / SHARD}`,
    `cluster.minWorkers=${workers}`,
    'data.testSamples=100',
    'evaluation.everyEpochs=1000',
    `checkpoint.everySteps=${steps}`,
  ].flatMap((setting) => ['--set', setting]);
  // As the installed command starts: see the first line of src/cli/main.ts.
  const args = ['--v8-pool-size=0', CLI, 'train', '--workers', String(workers), '--json', ...source, ...settings];
  const { code, stdout, stderr } = await runToEnd(process.execPath, args);
  if (code !== 0)
    throw new DeepDefenseError('INTERNAL', {
      what: `training with ${workers} worker(s) failed with exit code ${code}`,
      got: stderr.trim().split('\n').slice(-8).join('\n'),
    });
  return lastDocument(stdout);
}

async function runToEnd(command: string, args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString('utf8')));
  child.stderr.on('data', (data: Buffer) => (stderr = (stderr + data.toString('utf8')).slice(-20_000)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, stdout, stderr };
}

/** The last JSON document on stdout, on one line or spread over several. */
function lastDocument(stdout: string): RunOutcome {
  const text = stdout.trim();
  const lines = text.split('\n');
  for (const candidate of [text, lines.at(-1) ?? '']) {
    try {
      const { samplesPerSecond, weightsSha256, engine } = JSON.parse(candidate) as Record<string, unknown>;
      return { samplesPerSecond: Number(samplesPerSecond), weightsSha256: String(weightsSha256), engine: String(engine) };
    } catch {
      // try the next form
    }
  }
  throw new DeepDefenseError('INTERNAL', { what: '`deepdefense train --json` printed no JSON document', got: text.slice(-500) });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      steps: { type: 'string', default: '30' },
      batch: { type: 'string', default: '128' },
      repeats: { type: 'string', default: '3' },
      workers: { type: 'string', default: '1,2' },
      data: { type: 'string' },
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
  const batch = wholeNumber('batch', values.batch);
  if (batch % SHARD !== 0)
    throw new DeepDefenseError('USAGE', { what: `--batch ${batch} can't be cut into shards`, expected: `a multiple of ${SHARD}` });
  const repeats = wholeNumber('repeats', values.repeats);
  const counts = values.workers.split(',').map((text) => wholeNumber('workers', text));
  const machine = describeMachine();
  const speeds = new Map<number, number[]>(counts.map((count) => [count, []]));
  const hashes = new Set<string>();
  let engine = '';
  const folder = mkdtempSync(join(tmpdir(), 'deepdefense-scaling-'));
  try {
    for (let repeat = 0; repeat < repeats; repeat++)
      for (const workers of repeat % 2 === 0 ? counts : counts.toReversed()) {
        const outcome = await train(workers, steps, batch, values.data, folder);
        speeds.get(workers)?.push(outcome.samplesPerSecond);
        hashes.add(outcome.weightsSha256);
        engine = outcome.engine;
        process.stderr.write(`${workers} worker(s): ${outcome.samplesPerSecond.toFixed(1)} samples/s\n`);
      }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (hashes.size !== 1)
    throw new DeepDefenseError('INTERNAL', {
      what: 'runs with different numbers of workers ended with different weights',
      got: [...hashes].join(', '),
    });
  const baseline = speeds.get(counts[0] as number) as number[];
  const rows = [...speeds].map(
    ([workers, measured]): ScalingRow => ({
      workers,
      samplesPerSecond: spreadOf(measured),
      speedup: spreadOf(measured.map((speed, repeat) => speed / (baseline[repeat] as number))),
    }),
  );
  const report = { machine, versions: { node: process.versions.node, engine }, steps, batch, repeats, weightsSha256: [...hashes][0], rows };
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : `${formatRows(rows)}\n`);
}

function formatRows(rows: readonly ScalingRow[]): string {
  const table = new Table({
    head: ['workers', 'samples/s', 'speed-up', 'min - max'],
    colAligns: ['right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { workers, samplesPerSecond, speedup } of rows)
    table.push([
      String(workers),
      samplesPerSecond.median.toFixed(1),
      speedup.median.toFixed(2),
      `${speedup.min.toFixed(2)} - ${speedup.max.toFixed(2)}`,
    ]);
  return table.toString();
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = isDeepDefenseError(error) ? error.exitCode : 1;
}
