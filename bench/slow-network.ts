/**
 * @file Training over a slow network: a coordinator and two workers of the built command line (dist/), each worker behind a proxy that
 * delays and limits what passes, with gradients averaged in every step, in bfloat16, and with local steps (config section `sync`).
 */
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { requireBuild, runCommand } from './built-command.ts';
import { forkDelayProxy } from './delay-proxy.ts';
import { flag, text, wholeNumber } from './options.ts';
import { printResult, runScript } from './script.ts';
import { formatRange, type Spread, spreadOf } from './statistics.ts';
import { formatTable } from './table.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

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

/** Samples per second of one run. */
async function train(
  model: string,
  steps: number,
  settings: readonly string[],
  { mbit, delayMs }: Network,
  folder: string,
): Promise<number> {
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
    const coordinator = runCommand(['coordinator', '--json', ...set], children);
    const proxies = await Promise.all(Array.from({ length: WORKERS }, () => forkDelayProxy(children, port, delayMs, (mbit * 1e6) / 8)));
    const workers = proxies.map((proxy) => runCommand(['worker', '--json', '--coordinator', `127.0.0.1:${proxy}`], children));
    // Their failures show as the coordinator's, or as a run that waits for them.
    const failed = new Promise<never>((_, reject) => {
      for (const worker of workers) worker.catch(reject);
    });
    const { samplesPerSecond } = JSON.parse(await Promise.race([coordinator, failed])) as { samplesPerSecond: number };
    await Promise.all(workers);
    return samplesPerSecond;
  } finally {
    for (const child of children) child.kill();
  }
}

interface Row {
  readonly name: string;
  readonly samplesPerSecond: Spread;
  /** Against the first setting, turn by turn. */
  readonly ratio: Spread;
}

function formatRows(rows: readonly Row[]): string {
  return formatTable(
    ['averaged', 'samples/s', 'ratio', 'min - max'],
    rows.map(({ name, samplesPerSecond, ratio }) => [
      name,
      samplesPerSecond.median.toFixed(1),
      ratio.median.toFixed(2),
      formatRange(ratio, 2),
    ]),
    'lrrr',
  );
}

const OPTIONS = {
  model: text('vgg6'),
  steps: wholeNumber(40),
  repeats: wholeNumber(3),
  mbit: wholeNumber(100),
  'delay-ms': wholeNumber(20),
  json: flag(),
};

await runScript(HELP, OPTIONS, async ({ model, steps, repeats, mbit, 'delay-ms': delayMs, json }, head) => {
  requireBuild();
  const network = { mbit, delayMs };
  const speeds = SETTINGS.map((): number[] => []);
  await withTemporaryFolder('slow-network', async (folder) => {
    for (let repeat = 0; repeat < repeats; repeat++)
      for (const [index, { name, set }] of SETTINGS.entries()) {
        const samplesPerSecond = await train(model, steps, set, network, folder);
        speeds[index]?.push(samplesPerSecond);
        process.stderr.write(`${name}: ${samplesPerSecond.toFixed(1)} samples/s\n`);
      }
  });
  const baseline = speeds[0] as number[];
  const rows = SETTINGS.map(({ name }, index): Row => {
    const measured = speeds[index] as number[];
    return { name, samplesPerSecond: spreadOf(measured), ratio: spreadOf(measured.map((speed, i) => speed / (baseline[i] as number))) };
  });
  printResult(json, { ...head, model, steps, workers: WORKERS, ...network, repeats, rows }, formatRows(rows));
});
