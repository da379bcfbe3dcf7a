/**
 * @file What a training step costs with each strategy: one shard after the other on one thread, strategies in turns. Prints a table, or with
 * `--json` one document {machine, rows}.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { type ConfigInput, MODEL_NAMES, type ModelName, resolveConfig, STRATEGY_NAMES } from '../src/config/index.ts';
import { DeepDefenseError, isDeepDefenseError } from '../src/core/index.ts';
import { syntheticDataset } from '../src/data/index.ts';
import { Computer } from '../src/worker/compute.ts';
import { describeMachine } from './machine.ts';
import { wholeNumber } from './options.ts';
import { type Spread, spreadOf } from './statistics.ts';

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

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: 'cnn3' },
      repeats: { type: 'string', default: '7' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const model = MODEL_NAMES.find((name) => name === values.model);
  if (model === undefined)
    throw new DeepDefenseError('USAGE', { what: 'unknown name in --model', expected: MODEL_NAMES.join(', '), got: `"${values.model}"` });
  const repeats = wholeNumber('repeats', values.repeats);
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
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ machine: describeMachine(), model, repeats, rows })}\n`);
    return;
  }
  const table = new Table({ head: ['strategy', 'ms per step', 'spread', 'times benchmark', 'spread'] });
  const range = ({ min, max }: Spread, digits: number) => `${min.toFixed(digits)}-${max.toFixed(digits)}`;
  for (const { strategy, milliseconds, ratio } of rows)
    table.push([strategy, milliseconds.median.toFixed(1), range(milliseconds, 1), ratio.median.toFixed(2), range(ratio, 2)]);
  process.stdout.write(`${model}, ${BATCH} samples in ${SHARDS} shards, one thread, ${repeats} turns\n${table.toString()}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = isDeepDefenseError(error) ? error.exitCode : 1;
}
