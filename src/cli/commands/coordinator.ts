/** @file `coordinator`: the run without workers; they are started elsewhere. Loads no tensor package. */
import type { CommandDefinition } from '../command-definition.ts';
import { addClusterOptions, addConfigOptions } from '../config-options.ts';
import { plainId } from '../option-parsers.ts';
import { runTrainCommand, type TrainCommandOptions } from '../train-command.ts';

export const coordinatorCommand: CommandDefinition = (program, tools) => {
  const command = program.command('coordinator').description('coordinate one run for workers that are started elsewhere, on any machine');
  addClusterOptions(addConfigOptions(command))
    .option('--resume <run>', 'go on from the newest checkpoint of this run (folder or id)')
    .option('--id <id>', 'name of the run in place of a new one; a second call with the same one goes on there', plainId)
    .option('--stay', 'serve the result of the run when it is over, until a signal comes; for what starts ended processes again')
    .addHelpText(
      'after',
      `
Example, in two terminals:
  $ deepdefense coordinator -c examples/cluster.yaml --set cluster.host=127.0.0.1 --min-workers 1
  $ deepdefense worker --coordinator 127.0.0.1:50051

cluster.host, cluster.port and cluster.httpPort say where it listens.`,
    )
    .action((options: TrainCommandOptions) => runTrainCommand(options, 0, tools));
};
