/** @file `bench`: how fast training steps run here, as a share of what this machine's convolutions can reach. */
import { Option } from 'commander';
import type { CommandDefinition } from '../command-definition.ts';
import { integerIn } from '../option-parsers.ts';
import type { Spread, StepProfile, StepProfiles } from '../step-profile.ts';

const STRATEGIES = ['benchmark', 'deep', 'adversarial'] as const;

interface BenchOptions {
  readonly model: 'cnn3' | 'vgg6';
  readonly batch: number;
  readonly threads: number;
  readonly runs: number;
  readonly profile: boolean;
}

export const benchCommand: CommandDefinition = (program, { context }) => {
  program
    .command('bench')
    .description('time training steps on onnx:cpu against the ceiling of this machine, by operator with --profile')
    .addOption(new Option('--model <name>', 'network').choices(['cnn3', 'vgg6']).default('vgg6'))
    .option('--batch <samples>', 'samples of a shard', integerIn(1, 4096), 16)
    .option('--threads <count>', 'threads of the engine', integerIn(1, 256), 1)
    .option('--runs <count>', 'measured runs of each graph', integerIn(1, 1000), 15)
    .option('--profile', 'also time, operations and bytes by operator', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ deepdefense bench --profile --model vgg6\n\nNothing else should run meanwhile. Against PyTorch: docs/benchmarks.md.',
    )
    .action(async ({ model, batch, threads, runs, profile }: BenchOptions) => {
      const surroundings = context();
      const { profileSteps } = await import('../step-profile.ts');
      surroundings.notice(`timing ${STRATEGIES.join(', ')} on ${model}, ${batch} samples, ${threads} thread(s)`);
      const profiles = await profileSteps({ model, strategies: STRATEGIES, batch, threads, runs, byOperator: profile });
      surroundings.result({ model, batch, threads, runs, ...profiles }, await describe(profiles));
    });
};

async function describe({ ceiling, steps }: StepProfiles): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const style = { head: [], border: [] };
  const table = new Table({
    head: ['strategy', 'ms', 'samples/s', 'GFLOP', 'GFLOP/s', 'of ceiling', 'min - max', 'GB', 'nodes'],
    colAligns: ['left', ...Array<'right'>(8).fill('right')],
    style,
  });
  for (const { strategy, milliseconds, samplesPerSecond, flops, gflops, ofCeiling, bytes, nodes } of steps) {
    const cells = [milliseconds.median.toFixed(1), samplesPerSecond.toFixed(0), (flops / 1e9).toFixed(2), gflops.median.toFixed(1)];
    const shares = [`${percent(ofCeiling.median)} %`, `${percent(ofCeiling.min)} - ${percent(ofCeiling.max)}`];
    table.push([strategy, ...cells, ...shares, (bytes / 1e9).toFixed(2), String(nodes)]);
  }
  const lines = [
    `ceiling in GFLOP/s, median (min - max): convolution ${around(ceiling.convolution)}, matrix product ${around(ceiling.matrixProduct)}`,
    table.toString(),
  ];
  for (const step of steps)
    if (step.operators.length > 0) lines.push('', step.strategy, operatorTable(new Table({ head: OPERATOR_HEAD, style }), step));
  return lines.join('\n');
}

const percent = (share: number): string => (share * 100).toFixed(0);
const around = ({ median, min, max }: Spread): string => `${median.toFixed(1)} (${min.toFixed(1)} - ${max.toFixed(1)})`;

const OPERATOR_HEAD = ['operator', 'nodes', 'ms', 'share', 'GFLOP/s', 'GB/s'];

function operatorTable(table: { push(row: string[]): unknown; toString(): string }, { operators }: StepProfile): string {
  const all = operators.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  for (const { operator, count, milliseconds, flops, bytes } of operators) {
    const rate = (amount: number): string => (amount === 0 ? '-' : (amount / milliseconds / 1e6).toFixed(1));
    table.push([
      operator,
      String(count),
      milliseconds.toFixed(2),
      `${((milliseconds / all) * 100).toFixed(1)} %`,
      rate(flops),
      rate(bytes),
    ]);
  }
  return table.toString();
}
