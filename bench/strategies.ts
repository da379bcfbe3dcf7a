/**
 * @file What a training step costs with each strategy: one shard after the other on one thread, strategies in turns. Prints a table, or with
 * `--json` one document {machine, versions, model, repeats, rows}.
 */
import { type ConfigInput, MODEL_NAMES, type ModelName, resolveConfig, STRATEGY_NAMES } from '../src/config/index.ts';
import { syntheticDataset } from '../src/data/index.ts';
import { Computer } from '../src/worker/compute.ts';
import { flag, oneOf, wholeNumber } from './options.ts';
import { printResult, runScript } from './script.ts';
import { formatRange, type Spread, spreadOf } from './statistics.ts';
import { formatTable } from './table.ts';

const HELP = `Times one training step of 128 samples in 8 shards, without the coordinator, for every strategy.

  node --import tsx bench/strategies.ts [--model cnn3] [--repeats 7] [--json]`;

const BATCH = 128;
const SHARDS = 8;

interface StrategyRow {
  readonly strategy: string;
  readonly milliseconds: Spread;
  /** Over `benchmark`, turn by turn. */
  readonly ratio: Spread;
}

const inputOf = (strategy: (typeof STRATEGY_NAMES)[number], model: ModelName): ConfigInput => ({
  model: { name: model, ...(strategy === 'denoise' && { denoise: { filter: 'non-local' } }) },
  strategy: { name: strategy },
  engine: { name: 'onnx:cpu', threads: 1 },
  train: { batchSize: BATCH, shards: SHARDS },
});

function format(model: ModelName, repeats: number, rows: readonly StrategyRow[]): string {
  const table = formatTable(
    ['strategy', 'ms per step', 'min - max', 'times benchmark', 'min - max'],
    rows.map(({ strategy, milliseconds, ratio }) => [
      strategy,
      milliseconds.median.toFixed(1),
      formatRange(milliseconds, 1),
      ratio.median.toFixed(2),
      formatRange(ratio, 2),
    ]),
  );
  return `${model}, ${BATCH} samples in ${SHARDS} shards, one thread, ${repeats} turns\n${table}`;
}

const OPTIONS = { model: oneOf(MODEL_NAMES, 'cnn3'), repeats: wholeNumber(7), json: flag() };

await runScript(HELP, OPTIONS, async ({ model, repeats, json }, head) => {
  const dataset = syntheticDataset({ trainCount: BATCH, testCount: 10, seed: 1 });
  const computers = new Map<string, Computer>();
  for (const strategy of STRATEGY_NAMES) {
    const computer = await Computer.create(resolveConfig(inputOf(strategy, model)), dataset);
    computer.setParameters(0, computer.initialParameters());
    computers.set(strategy, computer);
  }
  const work = { step: 0, firstPosition: 0, schedule: [{ learningRate: 0, gfaScale: 1 }] };
  const once = async (computer: Computer): Promise<number> => {
    const startedMs = performance.now();
    await computer.trainBlock(work, { first: 0, count: SHARDS });
    return performance.now() - startedMs;
  };
  const times = new Map([...computers.keys()].map((strategy) => [strategy, [] as number[]]));
  for (const computer of computers.values()) await once(computer);
  for (let turn = 0; turn < repeats; turn++) for (const [strategy, computer] of computers) times.get(strategy)?.push(await once(computer));
  const plain = times.get('benchmark') as number[];
  const rows = [...times].map(
    ([strategy, own]): StrategyRow => ({
      strategy,
      milliseconds: spreadOf(own),
      ratio: spreadOf(own.map((value, turn) => value / (plain[turn] as number))),
    }),
  );
  for (const computer of computers.values()) await computer.dispose();
  printResult(json, { ...head, model, repeats, rows }, format(model, repeats, rows));
});
