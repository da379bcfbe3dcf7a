/** @file `train`: coordinator and workers on this machine. */
import type { CommandDefinition } from '../command-definition.ts';
import { addClusterOptions, addConfigOptions } from '../config-options.ts';
import { integerIn } from '../option-parsers.ts';
import { runTrainCommand, type TrainCommandOptions } from '../train-command.ts';

export const trainCommand: CommandDefinition = (program, tools) => {
  const command = program.command('train').description('train one model: a coordinator in this process and worker processes beside it');
  addClusterOptions(addConfigOptions(command))
    .option(
      '--workers <count>',
      'worker processes to start; 0 = wait for workers from elsewhere. Results do not depend on it',
      integerIn(0, 256),
      2,
    )
    .option('--resume <run>', 'go on from the newest checkpoint of this run (folder or id)')
    .addHelpText(
      'after',
      `
Examples:
  $ deepdefense train -c examples/cifar10-deep.yaml --workers 2 --data ~/cifar-10-batches-bin
  $ deepdefense train --preset smoke --set train.maxSteps=20 --json
  $ deepdefense train --resume runs/cifar10-deep-20250102-030405-a1b2

Ctrl-C finishes the step, writes a checkpoint and ends with code 130; a second Ctrl-C ends at once.`,
    )
    .action((options: TrainCommandOptions & { readonly workers: number }) => runTrainCommand(options, options.workers, tools));
};
