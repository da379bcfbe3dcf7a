/** @file `coordinator`: the run without workers; they are started elsewhere. Loads no tensor package. */
import type { CommandDefinition } from '../command-definition.ts';
import { addConfigOptions } from '../config-options.ts';
import { runTrainCommand, type TrainCommandOptions } from '../train-command.ts';

export const coordinatorCommand: CommandDefinition = (program, tools) => {
  addConfigOptions(program.command('coordinator').description('coordinate one run for workers that are started elsewhere, on any machine'))
    .option('--resume <run>', 'go on from the newest checkpoint of this run (folder or id)')
    .addHelpText(
      'after',
      `
Example, in two terminals:
  $ deepdefense coordinator -c examples/cluster.yaml
  $ deepdefense worker --coordinator 127.0.0.1:50051

cluster.host, cluster.port and cluster.httpPort say where it listens.`,
    )
    .action((options: TrainCommandOptions) => runTrainCommand(options, 0, tools));
};
