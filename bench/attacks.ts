/**
 * @file Attacks on one thread, ours against torchattacks, repetition by repetition in turns: the same trained network, images and radius.
 * Prints a table, or with `--json` one document {machine, versions, rows}. Needs a Python with torchattacks; docs/benchmarks.md says more.
 */
import { readWeights } from '../src/cli/weights-source.ts';
import { defaultNetwork } from '../src/config/index.ts';
import { DeepDefenseError } from '../src/core/index.ts';
import { fillTestBatch, openDataset } from '../src/data/index.ts';
import { ATTACK_CASE_NAMES, ATTACK_CASES, type AttackCase, BATCH_SIZE } from './attack-cases.ts';
import { toPlanes, writeValues } from './inputs.ts';
import type { LineProcess } from './line-process.ts';
import { flag, someOf, text, wholeNumber } from './options.ts';
import { printResult, runScript } from './script.ts';
import { startOurs, startPeer } from './sides.ts';
import { formatRange, type Spread, spreadOf } from './statistics.ts';
import { formatTable } from './table.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

const HELP = `Times attacks against torchattacks, one thread each, in turns.

  node --import tsx bench/attacks.ts --runs RUN[,RUN...] --data CIFAR10 [--attacks ${ATTACK_CASE_NAMES.join(',')}] [--images 256] [--eps 2/255] [--repeats 3] [--json]

  --runs     run folders or weights files of networks that take images in [0,1]
  --eps      L-infinity radius in [0,1] pixel units; default 2/255
  --images   the first so many test images; default 256
  --repeats  timed pairs per row, after one untimed attack on each side; default 3

Environment: DEEPDEFENSE_PEER_PYTHON = a Python that has torch and torchattacks; default /usr/bin/python3.`;

/** Times of one attack on one network; images/s are medians. */
interface AttackRow {
  readonly attack: AttackCase;
  readonly spec: string;
  readonly model: string;
  readonly ours: number;
  readonly peer: number;
  /** Our images/s over the peer's, pair by pair: above 1 = we are faster. */
  readonly ratio: Spread;
  /** The same in processor time. */
  readonly cpuRatio: Spread;
  /** Shares of all images that are still classified correctly. */
  readonly oursWithstood: number;
  readonly peerWithstood: number;
}

interface Timed {
  readonly ms: number;
  readonly cpuMs: number;
  readonly withstood: number;
}

interface Options {
  readonly attacks: readonly AttackCase[];
  readonly data: string | undefined;
  readonly images: number;
  readonly eps: number;
  readonly repeats: number;
}

async function measureNetwork(run: string, options: Options, versions: Record<string, unknown>, folder: string): Promise<AttackRow[]> {
  const { network, parameters } = await readWeights(run);
  const model = network.name;
  if (JSON.stringify(network) !== JSON.stringify(defaultNetwork(model)))
    throw new DeepDefenseError('USAGE', {
      what: `the peer has no network like that of "${run}"`,
      expected: 'the defaults of the section model',
    });
  const [ours, peer] = [startOurs('ours-attacks.ts'), startPeer('torchattacks_run.py')];
  try {
    Object.assign(versions, await peer.request('hello'), await ours.request('hello'));
    const files = await writeImages(folder, parameters, options);
    const setup = { model, count: options.images, parameters: files.parameters, labels: files.labels };
    const [before, peerBefore] = [
      await ours.request('setup', { ...setup, images: files.ours }),
      await peer.request('setup', { ...setup, images: files.peer }),
    ];
    if (before.correct !== peerBefore.correct)
      throw new DeepDefenseError('INTERNAL', {
        what: 'the two sides see different networks',
        got: `${String(before.correct)} and ${String(peerBefore.correct)} of ${options.images} images correct`,
      });
    const rows: AttackRow[] = [];
    for (const attack of options.attacks) {
      const row = await measureAttack(attack, model, ours, peer, options);
      rows.push(row);
      process.stderr.write(
        `${attack} ${model}: ${row.ours.toFixed(1)} images/s, ${row.ratio.median.toFixed(2)} times torchattacks (${row.cpuRatio.median.toFixed(2)} in processor time)\n`,
      );
    }
    return rows;
  } finally {
    await Promise.all([ours.close(), peer.close()]);
  }
}

async function writeImages(
  folder: string,
  parameters: Float32Array,
  { data, images: count }: Options,
): Promise<{ parameters: string; labels: string; ours: string; peer: string }> {
  const { test } = await openDataset({ source: 'cifar10', ...(data !== undefined && { path: data }) });
  const [images, labels] = [new Float32Array(count * 32 * 32 * 3), new Int32Array(count)];
  fillTestBatch(test, 0, count, images, labels);
  return {
    parameters: writeValues(folder, 'parameters.bin', parameters),
    labels: writeValues(folder, 'labels.bin', labels),
    ours: writeValues(folder, 'images-nhwc.bin', images),
    peer: writeValues(folder, 'images-nchw.bin', toPlanes(images)),
  };
}

async function measureAttack(
  attack: AttackCase,
  model: string,
  ours: LineProcess,
  peer: LineProcess,
  { images, eps, repeats }: Options,
): Promise<AttackRow> {
  const request = { name: attack, eps, batch: BATCH_SIZE };
  const once = async (side: LineProcess): Promise<Timed> => (await side.request('attack', request)) as unknown as Timed;
  await once(ours);
  await once(peer);
  const pairs: { readonly ours: Timed; readonly peer: Timed }[] = [];
  for (let i = 0; i < repeats; i++) {
    // Turns change, so that neither side always runs on a processor that the other has just heated.
    const first = await once(i % 2 === 0 ? ours : peer);
    const second = await once(i % 2 === 0 ? peer : ours);
    pairs.push(i % 2 === 0 ? { ours: first, peer: second } : { ours: second, peer: first });
  }
  const perSecond = (times: readonly Timed[]): number => images / (spreadOf(times.map(({ ms }) => ms)).median / 1000);
  return {
    attack,
    spec: ATTACK_CASES[attack],
    model,
    ours: perSecond(pairs.map((pair) => pair.ours)),
    peer: perSecond(pairs.map((pair) => pair.peer)),
    ratio: spreadOf(pairs.map((pair) => pair.peer.ms / pair.ours.ms)),
    cpuRatio: spreadOf(pairs.map((pair) => pair.peer.cpuMs / pair.ours.cpuMs)),
    oursWithstood: (pairs[0]?.ours.withstood ?? Number.NaN) / images,
    peerWithstood: (pairs[0]?.peer.withstood ?? Number.NaN) / images,
  };
}

function parseEps(text: string): number {
  const [numerator = Number.NaN, denominator = 1] = text.split('/').map(Number);
  const eps = numerator / denominator;
  if (eps > 0 && eps <= 1) return eps;
  throw new DeepDefenseError('USAGE', { what: 'bad --eps', expected: 'a radius in (0,1] such as 2/255', got: `"${text}"` });
}

function formatRows(rows: readonly AttackRow[]): string {
  return formatTable(
    ['attack', 'model', 'ours images/s', 'torchattacks', 'ratio', 'min - max', 'processor time', 'ours withstood', 'its'],
    rows.map(({ attack, model, ours, peer, ratio, cpuRatio, oursWithstood, peerWithstood }) => [
      attack,
      model,
      ours.toFixed(1),
      peer.toFixed(1),
      ratio.median.toFixed(2),
      formatRange(ratio, 2),
      cpuRatio.median.toFixed(2),
      `${(100 * oursWithstood).toFixed(1)} %`,
      `${(100 * peerWithstood).toFixed(1)} %`,
    ]),
    'llrrrrrrr',
  );
}

const OPTIONS = {
  runs: text(),
  data: text(),
  attacks: someOf(ATTACK_CASE_NAMES),
  images: wholeNumber(256),
  eps: text('2/255'),
  repeats: wholeNumber(3),
  json: flag(),
};

await runScript(HELP, OPTIONS, async ({ runs, data, attacks, images, eps, repeats, json }, { machine }) => {
  if (runs === undefined) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const options = { attacks, data, images, eps: parseEps(eps), repeats };
  const versions: Record<string, unknown> = {};
  const rows: AttackRow[] = [];
  for (const run of runs.split(','))
    rows.push(...(await withTemporaryFolder('bench', (folder) => measureNetwork(run, options, versions, folder))));
  printResult(json, { machine, versions, options, rows }, formatRows(rows));
});
