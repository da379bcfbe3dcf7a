/**
 * @file `npm run bench`: whole training steps of 128 samples, ours against PyTorch or JAX, one thread each, repetition by repetition.
 * Both sides start from the same parameters and batch, and must agree on loss and gradient norm before anything is timed.
 * Prints a table, or with `--json` one document {machine, versions, rows}. Needs the peer; docs/benchmarks.md says more.
 */
import { DeepDefenseError } from '../src/core/index.ts';
import { type InputFiles, writeInputs } from './inputs.ts';
import { type LineProcess, LineProcessError } from './line-process.ts';
import type { Machine } from './machine.ts';
import { flag, oneOf, someOf, wholeNumber } from './options.ts';
import { printResult, runScript } from './script.ts';
import { PEER_PYTHON, startOurs, startPeer } from './sides.ts';
import { formatRange, type Spread, spreadOf } from './statistics.ts';
import { formatTable } from './table.ts';
import { MODEL_NAMES, type ModelName, SETTINGS, TASK_NAMES, type TaskName } from './tasks.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

/** What we compare with: a script under peer/, one of its variants, and the package that it imports. */
const PEERS = {
  pytorch: { title: 'PyTorch', script: 'pytorch_steps.py', variant: 'eager', module: 'torch' },
  'pytorch-channels-last': { title: 'PyTorch channels last', script: 'pytorch_steps.py', variant: 'channels-last', module: 'torch' },
  'pytorch-compile': { title: 'torch.compile', script: 'pytorch_steps.py', variant: 'compile', module: 'torch' },
  jax: { title: 'jax.jit', script: 'jax_steps.py', variant: 'jit', module: 'jax' },
} as const;
type PeerName = keyof typeof PEERS;
const PEER_NAMES = Object.keys(PEERS) as PeerName[];

const HELP = `Times whole training steps against PyTorch or JAX, one thread each, interleaved.

  node --import tsx bench/run.ts [--tasks ${TASK_NAMES.join(',')}] [--models ${MODEL_NAMES.join(',')}] [--peer pytorch] [--repeats 9] [--json]

  --tasks      comma-separated: plain, gfa (1-c^2 on three convolutions), pgd7 (adversarial training), inference; default all
  --models     comma-separated: cnn3, vgg6; default all
  --peer       ${PEER_NAMES.join(', ')}; default pytorch
  --repeats    timed pairs per row, after two untimed steps on each side; default 9
  --ours-only  time our side alone (no peer needed; no ratios)
  --json       one JSON document on stdout, progress on stderr

Environment: DEEPDEFENSE_PEER_PYTHON = the Python that has the peer's package; default /usr/bin/python3.`;

const WARM_UPS = 2;
/** A step that computed for less of its wall time shared its processor with other work. */
const BUSY_SHARE = 0.9;
/** Largest relative difference of losses and of gradient norms that counts as the same computation; PGD's signs amplify rounding. */
const TOLERANCE: Readonly<Record<TaskName, number>> = { plain: 1e-4, gfa: 1e-4, pgd7: 1e-2, inference: 1e-4 };

/** Samples per second (median), and step times in milliseconds behind it. */
interface BenchRow {
  readonly task: TaskName;
  readonly model: ModelName;
  readonly ours: number;
  readonly peer: number | null;
  /** Our samples/s over the peer's, pair by pair: above 1 = we are faster. */
  readonly ratio: Spread | null;
  /** The same with processor time instead of wall time: steadier where other work shares the machine. */
  readonly cpuRatio: Spread | null;
  readonly oursMs: Spread;
  readonly peerMs: Spread | null;
  /** Processor time over wall time of a step (median): about 1 when a side really computes on one thread. */
  readonly oursCores: number;
  readonly peerCores: number | null;
  /** Highest resident memory of each compute process. */
  readonly oursPeakMiB: number;
  readonly peerPeakMiB: number | null;
  /** Loss and gradient norm of the common first batch. */
  readonly oursCheck: Check;
  readonly peerCheck: Check | null;
  readonly repeats: number;
}

interface StepTime {
  readonly ms: number;
  /** Processor time of all threads of the process. */
  readonly cpuMs: number;
}

interface Check {
  readonly loss: number;
  readonly gradientNorm: number;
}

interface BenchDocument {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, unknown>>;
  /** Absent when our side ran alone. */
  readonly peer?: PeerName;
  readonly settings: typeof SETTINGS;
  readonly rows: readonly BenchRow[];
}

async function greetPeer(name: PeerName, peer: LineProcess): Promise<Record<string, unknown>> {
  try {
    return await peer.request('hello');
  } catch (error) {
    if (!(error instanceof LineProcessError)) throw error;
    const { title, module } = PEERS[name];
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: error.reply === `no-${module}` ? `the Python "${PEER_PYTHON}" has no ${module}` : `${title} doesn't run under "${PEER_PYTHON}"`,
      expected: `a Python in which \`import ${module}\` works`,
      got: error.message,
      todo: `install it (PyTorch on Debian, Ubuntu: \`apt-get install python3-torch\`), or set DEEPDEFENSE_PEER_PYTHON to a Python that has it, or pass --ours-only`,
      cause: error,
    });
  }
}

async function measure(
  task: TaskName,
  model: ModelName,
  repeats: number,
  peerName: PeerName | undefined,
  versions: Record<string, unknown>,
  folder: string,
): Promise<BenchRow> {
  const files = writeInputs(model, folder);
  const ours = startOurs('ours-steps.ts');
  const peer = peerName && startPeer(PEERS[peerName].script);
  try {
    if (peer !== undefined) Object.assign(versions, await greetPeer(peerName as PeerName, peer));
    Object.assign(versions, await ours.request('hello'));
    await setUp(task, model, files, ours, peer, peerName && PEERS[peerName].variant);
    const oursCheck = await checkOf(ours);
    const peerCheck = peer === undefined ? null : await checkOf(peer);
    if (peerCheck !== null) assertSameWork(task, model, oursCheck, peerCheck);
    for (let i = 0; i < WARM_UPS; i++) {
      await ours.request('step');
      await peer?.request('step');
    }
    const oursTimes: StepTime[] = [];
    const peerTimes: StepTime[] = [];
    for (let i = 0; i < repeats; i++) {
      // Turns change, so that neither side always runs on a processor that the other has just heated.
      for (const side of i % 2 === 0 ? ['ours', 'peer'] : ['peer', 'ours']) {
        if (side === 'ours') oursTimes.push(await timeStep(ours));
        else if (peer !== undefined) peerTimes.push(await timeStep(peer));
      }
    }
    const oursMs = oursTimes.map((time) => time.ms);
    const peerMs = peerTimes.map((time) => time.ms);
    return {
      task,
      model,
      ours: samplesPerSecond(oursMs),
      peer: peer === undefined ? null : samplesPerSecond(peerMs),
      ratio: peer === undefined ? null : spreadOf(peerMs.map((ms, i) => ms / (oursMs[i] as number))),
      cpuRatio: peer === undefined ? null : spreadOf(peerTimes.map(({ cpuMs }, i) => cpuMs / (oursTimes[i] as StepTime).cpuMs)),
      oursMs: spreadOf(oursMs),
      peerMs: peer === undefined ? null : spreadOf(peerMs),
      oursCores: coresOf(oursTimes),
      peerCores: peer === undefined ? null : coresOf(peerTimes),
      oursPeakMiB: await ours.requestNumber('memory', 'peakMiB'),
      peerPeakMiB: peer === undefined ? null : await peer.requestNumber('memory', 'peakMiB'),
      oursCheck,
      peerCheck,
      repeats,
    };
  } finally {
    await Promise.all([ours.close(), peer?.close()]);
  }
}

async function setUp(
  task: TaskName,
  model: ModelName,
  files: InputFiles,
  ours: LineProcess,
  peer: LineProcess | undefined,
  variant: string | undefined,
): Promise<void> {
  const { batchSize, gfaWeights, epsLinf, stepSizeLinf, attackSteps, learningRate, momentum } = SETTINGS;
  await ours.request('setup', { task, model, ...files.ours });
  const peerSettings = { batch: batchSize, gfaWeights, epsLinf, stepSizeLinf, attackSteps, learningRate, momentum, variant };
  await peer?.request('setup', { task, model, ...peerSettings, ...files.peer });
}

async function timeStep(side: LineProcess): Promise<StepTime> {
  const { ms, cpuMs } = await side.request('step');
  return { ms: Number(ms), cpuMs: Number(cpuMs) };
}

function coresOf(times: readonly StepTime[]): number {
  return spreadOf(times.map(({ ms, cpuMs }) => cpuMs / ms)).median;
}

async function checkOf(side: LineProcess): Promise<Check> {
  const { loss, gradientNorm } = await side.request('check');
  return { loss: Number(loss), gradientNorm: Number(gradientNorm) };
}

function assertSameWork(task: TaskName, model: ModelName, ours: Check, peer: Check): void {
  const largest = Math.max(relativeDifference(ours.loss, peer.loss), relativeDifference(ours.gradientNorm, peer.gradientNorm));
  if (largest <= TOLERANCE[task]) return;
  throw new DeepDefenseError('INTERNAL', {
    what: `the two sides compute different things for ${task} on ${model}, so their times can't be compared`,
    expected: `losses and gradient norms within ${TOLERANCE[task]} of each other, relatively`,
    got: `ours ${JSON.stringify(ours)}, the peer ${JSON.stringify(peer)}`,
  });
}

function relativeDifference(value: number, reference: number): number {
  return Math.abs(value - reference) / Math.abs(reference);
}

function samplesPerSecond(stepMs: readonly number[]): number {
  return SETTINGS.batchSize / (spreadOf(stepMs).median / 1000);
}

function formatRows(rows: readonly BenchRow[], peerTitle: string): string {
  return formatTable(
    ['task', 'model', 'ours samples/s', `${peerTitle} samples/s`, 'ratio', 'min - max', 'ours cores', 'its cores', 'ours MiB', 'its MiB'],
    rows.map(({ task, model, ours, peer, ratio, oursCores, peerCores, oursPeakMiB, peerPeakMiB }) => [
      task,
      model,
      ours.toFixed(0),
      peer?.toFixed(0) ?? '-',
      ratio?.median.toFixed(2) ?? '-',
      ratio === null ? '-' : formatRange(ratio, 2),
      oursCores.toFixed(2),
      peerCores?.toFixed(2) ?? '-',
      oursPeakMiB.toFixed(0),
      peerPeakMiB?.toFixed(0) ?? '-',
    ]),
    'llrrrrrrrr',
  );
}

const OPTIONS = {
  repeats: wholeNumber(9),
  tasks: someOf(TASK_NAMES),
  models: someOf(MODEL_NAMES),
  peer: oneOf(PEER_NAMES, 'pytorch'),
  'ours-only': flag(),
  json: flag(),
};

await runScript(HELP, OPTIONS, async ({ tasks, models, repeats, json, ...values }, { machine }) => {
  const peer = values['ours-only'] ? undefined : values.peer;
  const title = peer === undefined ? 'peer' : PEERS[peer].title;
  const versions: Record<string, unknown> = {};
  const rows: BenchRow[] = [];
  for (const model of models)
    for (const task of tasks) {
      const row = await withTemporaryFolder('bench', (folder) => measure(task, model, repeats, peer, versions, folder));
      rows.push(row);
      const ratio = row.ratio === null ? '' : `, ${row.ratio.median.toFixed(2)} times ${title}`;
      const disturbed =
        Math.min(row.oursCores, row.peerCores ?? 1) < BUSY_SHARE ? '; other work took the processor away, times are unreliable' : '';
      process.stderr.write(`${task} ${model}: ${row.ours.toFixed(0)} samples/s${ratio}${disturbed}\n`);
    }
  const document: BenchDocument = { machine, versions, ...(peer === undefined ? {} : { peer }), settings: SETTINGS, rows };
  printResult(json, document, formatRows(rows, title));
});
