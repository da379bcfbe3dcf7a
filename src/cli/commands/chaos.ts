/** @file `chaos`: faults on purpose, and what the run withstood. */
import { EXIT_CODES } from '../../core/index.ts';
import type { CommandDefinition } from '../command-definition.ts';
import { addConfigOptions, type ConfigOptions, configFromOptions } from '../config-options.ts';
import { integerIn, numberIn } from '../option-parsers.ts';

interface ChaosCommandOptions extends ConfigOptions {
  readonly workers: number;
  readonly minutes: number;
  readonly seed: number;
  readonly faultsPerMinute: number;
  readonly coordinatorKills: number;
  readonly reference: boolean;
  readonly folder?: string;
}

export const chaosCommand: CommandDefinition = (program, { context, setExitCode }) => {
  addConfigOptions(
    program.command('chaos').description('disturb a run on this machine by a seeded schedule of faults and report what it withstood'),
  )
    .option('--workers <count>', 'worker processes', integerIn(1, 256), 4)
    .option('--minutes <minutes>', 'length of the schedule; the run has the steps that fill it, or train.maxSteps', numberIn(0.2, 1440), 5)
    .option('--seed <seed>', 'of the schedule: the same seed plays the same faults', integerIn(0, 2 ** 31 - 1), 1)
    .option('--faults-per-minute <rate>', 'faults of workers, network and disk', numberIn(0, 60), 2)
    .option('--coordinator-kills <count>', 'SIGKILLs of the coordinator, spread over the run', integerIn(0, 1000), 3)
    .option('--no-reference', "don't run undisturbed as well: half the time, no comparison of weights and throughput")
    .option('--folder <folder>', 'where runs and logs go; default: a new temporary folder')
    .addHelpText(
      'after',
      `
Example:
  $ deepdefense chaos -c examples/chaos.yaml --workers 8 --minutes 30 --coordinator-kills 5

Faults: kill, freeze (SIGSTOP, SIGCONT), disconnect, delay and partition of a worker; slow and full disk and kill of the coordinator.
Exit code 11 when a sample was lost or doubled or the weights differ.`,
    )
    .action(async (options: ChaosCommandOptions) => {
      const surroundings = context();
      const config = await configFromOptions(options);
      const { runChaos } = await import('../chaos/run-chaos.ts');
      const { describeResilience } = await import('../chaos/resilience-report.ts');
      const report = await runChaos({ ...options, config, notice: (text) => surroundings.notice(text) });
      surroundings.result(report, describeResilience(report));
      if (!report.passed) setExitCode(EXIT_CODES.AUDIT);
    });
};
