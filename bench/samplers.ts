/**
 * @file What samplers find on test functions, ours against Optuna's of the same kind: best value of a budget, several seeds. Quality, not
 * time, so both sides run one behind the other. Prints a Markdown table, or with `--json` one document.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type FunctionName, SAMPLER_NAMES, type SamplerName } from '../src/config/index.ts';
import { type Coordinate, createSampler, evaluateFunction, hypervolume, type Observation } from '../src/sweeps/index.ts';
import { flag, someOf, text, wholeNumber } from './options.ts';
import { readOptions } from './script.ts';
import { PEER_PYTHON, pathOf } from './sides.ts';

const HELP = `Compares samplers with Optuna's on test functions.

  node --import tsx bench/samplers.ts [--samplers tpe,gp] [--functions branin,levy] [--seeds 20] [--budget 100] [--ours-only] [--peer FILE] [--json]

  --functions  some of the test functions; default all
  --peer       what bench/peer/optuna_samplers.py printed before, in place of running it: its results don't change with our code

Environment: DEEPDEFENSE_PEER_PYTHON = a Python that has optuna (and cmaes, and torch for gp); default /usr/bin/python3.`;

const CASES: readonly { readonly function: FunctionName; readonly dimensions: number }[] = [
  { function: 'branin', dimensions: 2 },
  { function: 'hartmann6', dimensions: 6 },
  { function: 'ackley', dimensions: 5 },
  { function: 'rosenbrock', dimensions: 4 },
  { function: 'levy', dimensions: 5 },
  { function: 'rastrigin', dimensions: 4 },
  { function: 'zdt1', dimensions: 6 },
];
const REFERENCE = [11, 11];
/** The peer's of the same kind; of TPE both forms that it has. */
const PEERS: Readonly<Partial<Record<SamplerName, readonly string[]>>> = {
  random: ['random'],
  sobol: ['sobol'],
  tpe: ['tpe', 'tpe-multivariate'],
  gp: ['gp'],
  'cma-es': ['cma-es'],
  nsga2: ['nsga2'],
};

const { samplers, functions, seeds, budget, ...values } = readOptions(HELP, {
  samplers: someOf(SAMPLER_NAMES, ['random', 'sobol', 'tpe', 'cma-es', 'nsga2']),
  functions: someOf(CASES.map((each) => each.function)),
  seeds: wholeNumber(20),
  budget: wholeNumber(100),
  'ours-only': flag(),
  peer: text(),
  json: flag(),
});
const cases = CASES.filter(({ function: name }) => functions.includes(name));

/** The smallest value found; of two objectives minus the hypervolume. */
function best(name: SamplerName, { function: fn, dimensions }: (typeof CASES)[number], seed: number): number {
  const coordinates = Array.from(
    { length: dimensions },
    (_, i): Coordinate => ({ kind: 'unit', name: `x${i + 1}`, gridPoints: undefined }),
  );
  const objectives = fn.startsWith('zdt') ? 2 : 1;
  const sampler = createSampler(name, { coordinates, seed, objectives, startup: 10, population: undefined });
  const observations: Observation[] = [];
  for (let candidate = 0; candidate < budget; candidate++) {
    const point = sampler.suggest({ candidate, attempt: 0, observations, pending: [] });
    if (point === undefined) break;
    observations.push({ candidate, point, losses: evaluateFunction(fn, point), rung: 0 });
  }
  const losses = observations.map((each) => each.losses as readonly number[]);
  return objectives === 1 ? Math.min(...losses.map(([value]) => value as number)) : -hypervolume(losses, REFERENCE);
}

interface Result {
  readonly function: string;
  readonly sampler: string;
  readonly values: readonly number[];
}

interface PeerResults {
  readonly versions: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
}

const ours = cases.flatMap((test) =>
  samplers.map((sampler): Result => {
    const found = Array.from({ length: seeds }, (_, seed) => best(sampler, test, seed));
    console.error('ours', test.function, sampler, quantile(found, 0.5));
    return { function: test.function, sampler, values: found };
  }),
);
const peer = peerResults();

function peerResults(): PeerResults {
  if (values['ours-only']) return { versions: {}, results: [] };
  return values.peer === undefined ? runPeer() : (JSON.parse(readFileSync(values.peer, 'utf8')) as PeerResults);
}

function runPeer(): PeerResults {
  const request = { cases, samplers: samplers.flatMap((name) => PEERS[name] ?? []), seeds, budget };
  const done = spawnSync(PEER_PYTHON, [pathOf('peer/optuna_samplers.py')], {
    input: JSON.stringify(request),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
  });
  if (done.status !== 0) throw new Error(`the peer ended with ${done.status ?? done.signal}`);
  return JSON.parse(done.stdout) as PeerResults;
}

function quantile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number];
  return low + (high - low) * (at - Math.floor(at));
}

/** Two-sided p of the rank-sum test, by its normal approximation without ties (Mann and Whitney 1947). */
function rankSum(a: readonly number[], b: readonly number[]): number {
  const smaller = a.reduce((sum, x) => sum + b.filter((y) => x < y).length + b.filter((y) => x === y).length / 2, 0);
  const mean = (a.length * b.length) / 2;
  const deviation = Math.sqrt((a.length * b.length * (a.length + b.length + 1)) / 12);
  const z = Math.max(Math.abs(smaller - mean) - 0.5, 0) / deviation;
  // Tail of the normal distribution (Abramowitz and Stegun 26.2.17).
  const t = 1 / (1 + 0.2316419 * z);
  const tail = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return Math.min(1, (2 * Math.exp(-0.5 * z * z) * tail) / Math.sqrt(2 * Math.PI));
}

const show = (list: readonly number[]) => [0.5, 0.25, 0.75].map((share) => Number(quantile(list, share).toPrecision(3)));
const rows = ours.flatMap((own) =>
  (PEERS[own.sampler as SamplerName] ?? []).flatMap((name) => {
    const other = peer.results.find((each) => each.function === own.function && each.sampler === name);
    return other === undefined
      ? []
      : [
          {
            function: own.function,
            ours: own.sampler,
            peer: name,
            own: show(own.values),
            other: show(other.values),
            p: rankSum(own.values, other.values),
          },
        ];
  }),
);
if (values.json) console.log(JSON.stringify({ seeds, budget, versions: peer.versions, ours, peer: peer.results, rows }));
else {
  console.log('| function | ours | median (quartiles) | Optuna | median (quartiles) | p |\n|---|---|---|---|---|---|');
  const cell = ([median, low, high]: readonly number[]) => `${median} (${low} to ${high})`;
  for (const { function: fn, ours: name, peer: other, own, other: theirs, p } of rows)
    console.log(`| ${fn} | ${name} | ${cell(own)} | ${other} | ${cell(theirs)} | ${p.toPrecision(2)} |`);
}
