/**
 * @file Training speed with one and with two workers: `deepdefense train` of vgg6 with the deep strategy, turn by turn. Runs the built
 * command line (dist/), coordinator and gRPC included, and checks on the way that every run ended with the same weights.
 */
import { DeepDefenseError } from '../src/core/index.ts';
import { requireBuild, runCommand } from './built-command.ts';
import { flag, text, wholeNumber, wholeNumbers } from './options.ts';
import { printResult, runScript } from './script.ts';
import { formatRange, type Spread, spreadOf } from './statistics.ts';
import { formatTable } from './table.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

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
  return lastDocument(await runCommand(['train', '--workers', String(workers), '--json', ...source, ...settings]));
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

function formatRows(rows: readonly ScalingRow[]): string {
  return formatTable(
    ['workers', 'samples/s', 'speed-up', 'min - max'],
    rows.map(({ workers, samplesPerSecond, speedup }) => [
      workers,
      samplesPerSecond.median.toFixed(1),
      speedup.median.toFixed(2),
      formatRange(speedup, 2),
    ]),
    'rrrr',
  );
}

const OPTIONS = {
  steps: wholeNumber(30),
  batch: wholeNumber(128),
  repeats: wholeNumber(3),
  workers: wholeNumbers(1, 2),
  data: text(),
  json: flag(),
};

await runScript(HELP, OPTIONS, async ({ steps, batch, repeats, workers: counts, data, json }, { machine, versions }) => {
  requireBuild();
  if (batch % SHARD !== 0)
    throw new DeepDefenseError('USAGE', { what: `--batch ${batch} can't be cut into shards`, expected: `a multiple of ${SHARD}` });
  const speeds = new Map<number, number[]>(counts.map((count) => [count, []]));
  const hashes = new Set<string>();
  let engine = '';
  await withTemporaryFolder('scaling', async (folder) => {
    for (let repeat = 0; repeat < repeats; repeat++)
      for (const workers of repeat % 2 === 0 ? counts : counts.toReversed()) {
        const outcome = await train(workers, steps, batch, data, folder);
        speeds.get(workers)?.push(outcome.samplesPerSecond);
        hashes.add(outcome.weightsSha256);
        engine = outcome.engine;
        process.stderr.write(`${workers} worker(s): ${outcome.samplesPerSecond.toFixed(1)} samples/s\n`);
      }
  });
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
  const report = { machine, versions: { ...versions, engine }, steps, batch, repeats, weightsSha256: [...hashes][0], rows };
  printResult(json, report, formatRows(rows));
});
