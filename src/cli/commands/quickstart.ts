/** @file `quickstart`: what `npm start` runs. */
import { EXIT_CODES } from '../../core/index.ts';
import type { CommandDefinition } from '../command-definition.ts';
import { integerIn } from '../option-parsers.ts';
import { QUICKSTART_STRATEGIES, QUICKSTART_WORKERS } from '../quickstart-sizes.ts';

interface QuickstartOptions {
  readonly data?: string;
  readonly workers: number;
  readonly runsFolder: string;
}

export const quickstartCommand: CommandDefinition = (program, { context, setExitCode }) => {
  program
    .command('quickstart')
    .description(
      `train a small network as ${QUICKSTART_STRATEGIES.join(' and ')}, attack both and compare them; under 4 minutes on 2 cores`,
    )
    .option(
      '--data <path>',
      'CIFAR-10: official archive or unpacked folder (else DEEPDEFENSE_DATA, the cache, a download, the synthetic set)',
    )
    .option('--workers <count>', 'worker processes', integerIn(1, 64), QUICKSTART_WORKERS)
    .option('--runs-folder <path>', 'folder that holds run folders', 'runs')
    .addHelpText('after', '\nExample:\n  $ deepdefense quickstart --data ~/cifar-10-batches-bin')
    .action(async (options: QuickstartOptions) => {
      const { quickstart } = await import('../quickstart.ts');
      const surroundings = context();
      const { document, text, interrupted } = await quickstart(surroundings, options);
      surroundings.result(document, text);
      if (interrupted) setExitCode(EXIT_CODES.INTERRUPTED);
    });
};
