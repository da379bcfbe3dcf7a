/**
 * @file The coordinator's arithmetic and its transport: how fast gradients are summed, what the optimiser costs, and what remains of
 * it over gRPC, directly and over a way of 10 ms. Nothing but this machine's loopback is used.
 */
import { configSchema } from '../src/config/index.ts';
import { plainVectorMath, type VectorMath, WasmVectorMath } from '../src/core/index.ts';
import { createOptimizer } from '../src/optimizers/index.ts';
import { TreeReducer } from '../src/wire/index.ts';
import { measureAggregation } from './aggregation.ts';
import { flag, someOf, wholeNumber } from './options.ts';
import { printResult, runScript } from './script.ts';
import { formatRange, type Spread, spreadOf } from './statistics.ts';
import { formatTable } from './table.ts';

const HELP = `Times the coordinator's sums, optimiser and transport.

  node --import tsx bench/reducer.ts [--part sum,adam,grpc,delay] [--repeats 15] [--steps 10] [--clients 8] [--delay-ms 5] [--json]

  --part      sum: reduction of 8 vectors of 550570 and of 10 million values; adam: mean, norm and Adam of 550570 parameters;
              grpc: gradients up, sum, Adam, parameters down over loopback; delay: the same through a proxy. Default: all
  --repeats   sums and updates, by processor time of one core; default 15
  --steps     steps over gRPC, by the clock; default 10
  --clients   processes that send gradients; default 8
  --delay-ms  one-way delay of the proxy; default 5
  --json      one JSON document on stdout`;

const PARTS = ['sum', 'adam', 'grpc', 'delay'] as const;

/** Parameters of vgg6, and a vector that no cache holds. */
const SMALL = 550_570;
const LARGE = 10_000_000;
const CONTRIBUTIONS = 8;
const WARM_UP_RUNS = 5;

interface Row {
  readonly what: string;
  readonly unit: string;
  readonly value: Spread;
}

/** Implementations that are compared; the plain loops work on any vector. */
function implementations(): readonly { readonly name: string; readonly math: VectorMath }[] {
  return [
    { name: 'WebAssembly', math: new WasmVectorMath() },
    { name: 'JavaScript', math: plainVectorMath },
  ];
}

function filled(math: VectorMath, elements: number, seed: number): Float32Array {
  const vector = math.allocate(elements);
  for (let i = 0; i < elements; i++) vector[i] = (((i * 7 + seed * 5) % 101) - 50) / 1000;
  return vector;
}

/** GB/s of contributions (their bytes / processor time until their mean is there), leaf by leaf in ascending order. */
function measureSum(elements: number, repeats: number): Row[] {
  return implementations().map(({ name, math }) => {
    const leaves = Array.from({ length: CONTRIBUTIONS }, (_, seed) => filled(math, elements, seed));
    const bytes = CONTRIBUTIONS * elements * 4;
    const speeds = timed(repeats, () => {
      const reducer = new TreeReducer({ root: { first: 0, count: CONTRIBUTIONS }, length: elements, metrics: 0, math });
      for (const [first, leaf] of leaves.entries()) reducer.add({ first, count: 1 }, leaf, []);
      reducer.takeMean();
    }).map((ms) => bytes / ms / 1e6);
    return { what: `mean of ${CONTRIBUTIONS} x ${elements}, ${name}`, unit: 'GB/s', value: spreadOf(speeds) };
  });
}

/** What a step costs after the last gradient has come: the division (of a sum of two), the norm and Adam. */
function measureAdam(repeats: number): Row[] {
  return implementations().map(({ name, math }) => {
    const specs = [{ name: 'all.weight', shape: [SMALL], dtype: 'float32' as const }];
    const optimizer = createOptimizer(configSchema.parse({ optimizer: { name: 'adam' } }), specs, math);
    const [parameters, gradients] = [filled(math, SMALL, 1), filled(math, SMALL, 2)];
    const ms = timed(repeats, () => {
      gradients[0] = 0.5;
      const reducer = new TreeReducer({ root: { first: 0, count: 8 }, length: SMALL, metrics: 0, math });
      reducer.add({ first: 0, count: 8 }, gradients, []);
      optimizer.apply(parameters, reducer.takeMean().gradients, 1e-3);
    });
    return { what: `mean, norm and Adam of ${SMALL}, ${name}`, unit: 'ms', value: spreadOf(ms) };
  });
}

/** Processor time of each run in ms, which other work on the machine disturbs less, after runs in which V8 compiles the loops. */
function timed(repeats: number, run: () => void): number[] {
  for (let i = 0; i < WARM_UP_RUNS; i++) run();
  return Array.from({ length: repeats }, () => {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
}

async function measureTransport(clients: number, elements: number, steps: number, delayMs: number): Promise<Row[]> {
  const measured = await measureAggregation({ clients, elements, steps, delayMs });
  const megabytes = (clients * elements * 4) / 1e6;
  const over = `${clients} x ${elements} over gRPC${delayMs > 0 ? `, ${2 * delayMs} ms round trip` : ''}`;
  const row = (what: string, unit: string, values: readonly number[]): Row => ({ what: `${over}: ${what}`, unit, value: spreadOf(values) });
  return [
    row(
      'up',
      'MB/s',
      measured.map(({ upMs }) => (megabytes / upMs) * 1000),
    ),
    row(
      'down',
      'MB/s',
      measured.map(({ downMs }) => (megabytes / downMs) * 1000),
    ),
    row(
      'gradients of whole steps',
      'GB/s',
      measured.map(({ upMs, updateMs, downMs }) => megabytes / (upMs + updateMs + downMs)),
    ),
    row(
      'last sum and Adam',
      'ms',
      measured.map(({ updateMs }) => updateMs),
    ),
    row(
      'server CPU, per MB up and down',
      'ms/MB',
      measured.map(({ cpuMs }) => cpuMs / (2 * megabytes)),
    ),
  ];
}

function formatRows(rows: readonly Row[]): string {
  return formatTable(
    ['measured', 'median', 'min - max', 'unit'],
    rows.map(({ what, unit, value }) => [what, value.median.toFixed(2), formatRange(value, 2), unit]),
    'lrrl',
  );
}

const OPTIONS = {
  part: someOf(PARTS),
  repeats: wholeNumber(15),
  steps: wholeNumber(10),
  clients: wholeNumber(8),
  'delay-ms': wholeNumber(5),
  json: flag(),
};

await runScript(HELP, OPTIONS, async ({ part: parts, repeats, steps, clients, 'delay-ms': delayMs, json }, head) => {
  const rows: Row[] = [];
  for (const part of parts) {
    if (part === 'sum') rows.push(...measureSum(SMALL, repeats), ...measureSum(LARGE, repeats));
    else if (part === 'adam') rows.push(...measureAdam(repeats));
    else {
      const proxyMs = part === 'delay' ? delayMs : 0;
      rows.push(...(await measureTransport(clients, SMALL, steps, proxyMs)), ...(await measureTransport(1, LARGE, steps, proxyMs)));
    }
  }
  printResult(json, { ...head, repeats, steps, clients, delayMs, rows }, formatRows(rows));
});
