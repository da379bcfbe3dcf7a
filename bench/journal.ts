/**
 * @file What the journal costs: appending a committed step, also as a share of a step, and verifying a long journal. Events are of the
 * kind and size (1.4 kB) that a run with GFA on three layers writes; each journal is read by a process of its own, for its memory.
 * Prints a table, or with `--json` one document {machine, versions, rows}.
 */
import { execFile } from 'node:child_process';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DeepDefenseError, sha256 } from '../src/core/index.ts';
import { FileJournal, readJournal, type StepCommitted } from '../src/journal/index.ts';
import { chain, GENESIS, sealed } from '../src/journal/seal.ts';
import { peakMemoryMiB } from './machine.ts';
import { flag, text, wholeNumber, wholeNumbers } from './options.ts';
import { printResult, runScript } from './script.ts';
import { formatRange, type Spread, spreadOf } from './statistics.ts';
import { formatTable } from './table.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

const HELP = `Times appending to the journal, and verifying a long one.

  node --import tsx bench/journal.ts [--events 100000,1000000] [--appends 5000] [--repeats 5] [--json]

  --events   lengths of the journals to verify; default 100000,1000000: 1.4 GB below the temporary folder
  --appends  timed appends; default 5000
  --repeats  times that each journal is read; default 5
  --vgg6-ms  what a step of vgg6 takes, for the share of an append; default 400
  --cnn3-ms  the same of cnn3; default 60
  --json     one JSON document on stdout`;

const LAYERS = ['conv1', 'conv2', 'conv3'];
const METRICS = ['term', 'cosine', 'absCosine', 'gradientNorm', 'zeroGradient'];

interface AppendRow {
  readonly what: 'append';
  readonly events: number;
  readonly microseconds: Spread;
  /** 95 % of the appends took at most this long. */
  readonly microseconds95: number;
  readonly percentOfVgg6Step: number;
  readonly percentOfCnn3Step: number;
}

interface VerifyRow {
  readonly what: 'verify';
  readonly events: number;
  readonly megabytes: number;
  readonly seconds: Spread;
  /** Processor time; suffers less from other work on the machine. */
  readonly processorSeconds: Spread;
  readonly megabytesPerSecond: number;
  readonly peakMiB: number;
}

/** A number below 1 with all its digits, which differs from step to step. */
const digits = (step: number, index: number): number => ((step * 31 + index * 17 + 1) * 0.6180339887498949) % 1;

function committed(step: number): StepCommitted {
  const gfa = LAYERS.flatMap((layer) => METRICS.map((metric) => `gfa/${layer}/${metric}`));
  return {
    type: 'step-committed',
    step,
    epoch: Math.floor(step / 390),
    position: step * 128,
    samples: 128,
    loss: digits(step, 0),
    metrics: Object.fromEntries(['loss', 'accuracy', ...gfa].map((name, index) => [name, digits(step, index)])),
    learningRate: 0.001,
    gradientNorm: digits(step, 20),
    gfaScale: 1,
    blocks: [0, 4].map((first) => ({
      first,
      count: 4,
      workerId: `host-${1234 + first}-abcdef`,
      gradientsSha256: sha256(`${step} ${first}`),
    })),
    parametersSha256: sha256(`${step}`),
    seconds: digits(step, 21),
  };
}

async function measureAppends(folder: string, events: number, vgg6Ms: number, cnn3Ms: number): Promise<AppendRow> {
  const { journal } = await FileJournal.open(join(folder, 'appended.jsonl'));
  const times: number[] = [];
  const untimed = 200;
  for (let step = -untimed; step < events; step++) {
    const event = committed(step + untimed);
    const startMs = performance.now();
    await journal.append(event);
    if (step >= 0) times.push((performance.now() - startMs) * 1000);
  }
  await journal.close();
  const microseconds = spreadOf(times);
  return {
    what: 'append',
    events,
    microseconds,
    microseconds95: times.sort((a, b) => a - b)[Math.floor(events * 0.95)] as number,
    percentOfVgg6Step: microseconds.median / vgg6Ms / 10,
    percentOfCnn3Step: microseconds.median / cnn3Ms / 10,
  };
}

/** As a FileJournal does it, many lines at once. */
async function write(path: string, events: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    let hash = GENESIS;
    for (let step = 0; step < events; ) {
      let lines = '';
      for (const end = Math.min(step + 1000, events); step < end; step++) {
        const body = JSON.stringify({ sequence: step + 1, at: '2026-02-03T04:05:06.007Z', event: committed(step) });
        hash = chain(hash, body);
        lines += sealed(body, hash);
      }
      await file.appendFile(lines);
    }
  } finally {
    await file.close();
  }
}

interface Reading {
  readonly records: number;
  readonly seconds: number;
  readonly processorSeconds: number;
  readonly peakMiB: number;
}

async function read(path: string): Promise<Reading> {
  const before = process.cpuUsage();
  const startMs = performance.now();
  const { records, cut } = await readJournal(path);
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(before);
  if (cut !== null) throw new DeepDefenseError('STORAGE_FAILED', { what: 'a journal of the benchmark is damaged', got: cut.reason });
  return { records: records.length, seconds, processorSeconds: (user + system) / 1e6, peakMiB: peakMemoryMiB() };
}

async function measureVerifying(folder: string, events: number, repeats: number): Promise<VerifyRow> {
  const path = join(folder, `${events}.jsonl`);
  await write(path, events);
  const megabytes = (await stat(path)).size / 1e6;
  const readings: Reading[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), '--read', path]);
    readings.push(JSON.parse(stdout) as Reading);
  }
  await rm(path);
  const seconds = spreadOf(readings.map((reading) => reading.seconds));
  return {
    what: 'verify',
    events,
    megabytes,
    seconds,
    processorSeconds: spreadOf(readings.map(({ processorSeconds }) => processorSeconds)),
    megabytesPerSecond: megabytes / seconds.median,
    peakMiB: Math.max(...readings.map(({ peakMiB }) => peakMiB)),
  };
}

function format({ microseconds, microseconds95, ...append }: AppendRow, verified: readonly VerifyRow[]): string {
  const appended = formatTable(
    ['appends', 'us each', 'min - max', '95 % below', '% of a vgg6 step', '% of a cnn3 step'],
    [
      [
        append.events,
        microseconds.median.toFixed(0),
        formatRange(microseconds, 0),
        microseconds95.toFixed(0),
        append.percentOfVgg6Step.toFixed(3),
        append.percentOfCnn3Step.toFixed(3),
      ],
    ],
  );
  const read = formatTable(
    ['events verified', 'MB', 'seconds', 'min - max', 'processor s', 'MB/s', 'peak MiB'],
    verified.map(({ events, megabytes, seconds, processorSeconds, megabytesPerSecond, peakMiB }) => [
      events,
      megabytes.toFixed(0),
      seconds.median.toFixed(2),
      formatRange(seconds, 2),
      processorSeconds.median.toFixed(2),
      megabytesPerSecond.toFixed(0),
      peakMiB.toFixed(0),
    ]),
  );
  return `${appended}\n${read}`;
}

const OPTIONS = {
  events: wholeNumbers(100_000, 1_000_000),
  appends: wholeNumber(5000),
  repeats: wholeNumber(5),
  'vgg6-ms': wholeNumber(400),
  'cnn3-ms': wholeNumber(60),
  json: flag(),
  // For the processes that this script starts.
  read: text(),
};

await runScript(HELP, OPTIONS, async ({ events: counts, appends, repeats, json, read: path, ...values }, head) => {
  if (path !== undefined) {
    process.stdout.write(JSON.stringify(await read(path)));
    return;
  }
  await withTemporaryFolder('journal', async (folder) => {
    const append = await measureAppends(folder, appends, values['vgg6-ms'], values['cnn3-ms']);
    const verified: VerifyRow[] = [];
    for (const events of counts) verified.push(await measureVerifying(folder, events, repeats));
    printResult(json, { ...head, rows: [append, ...verified] }, format(append, verified));
  });
});
