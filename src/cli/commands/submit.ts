/** @file `submit`: sweeps and runs on Kubernetes. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { collect, type CommandDefinition } from '../command-definition.ts';
import { integerIn } from '../option-parsers.ts';
import type { ClusterOptions, SubmitOptions } from '../submit/submit-command.ts';
import { DeepDefenseError, PACKAGE_VERSION } from '../../core/index.ts';

const EXAMPLE_ID = 'gfa-weights-1a2b3c4d';

export const submitCommand: CommandDefinition = (program, tools) => {
  const submit = program
    .command('submit')
    .description('run a sweep or a training on Kubernetes: checks the file here, and hands its objects to the cluster by kubectl')
    .option('-c, --config <file>', 'sweep file or training config in YAML')
    .option('--set <key=value>', 'override one key of the file; repeatable', collect, [])
    .option('--id <name>', "name of the sweep or run and of its objects (default: the file's name and a part of its hash)")
    .option('-n, --namespace <name>', 'namespace of the platform', 'deepdefense')
    .option('--kube-context <name>', 'context of the kubeconfig (default: the current one)')
    .option(
      '--workers <count>',
      'workers of its own, an Indexed Job (default: of a sweep none, the pool of the namespace serves it; of a run cluster.minWorkers)',
      integerIn(0, 1000),
    )
    .option('--gpus <count>', 'NVIDIA GPUs of each of these workers', integerIn(0, 16), 0)
    .option('--cpu <quantity>', 'processors of each of these workers', quantity, '1')
    .option('--memory <quantity>', 'memory of each of these workers', quantity, '2Gi')
    .option(
      '--worker-image <image>',
      `image of these workers (default: deepdefense/worker-cpu:${PACKAGE_VERSION}, with --gpus worker-cuda)`,
    )
    .option('--coordinator-image <image>', 'image of the coordinator', `deepdefense/coordinator:${PACKAGE_VERSION}`)
    .option('--storage <quantity>', 'volume of each coordinator, for its run or sweep folder', quantity, '10Gi')
    .addOption(
      new Option('--priority <class>', 'PriorityClass of coordinator and workers (default: normal and low)').choices([
        'low',
        'normal',
        'high',
      ]),
    )
    .option('--queue <name>', "LocalQueue of Kueue that the sweep's or run's own workers wait in")
    .option('--nats-service <servers>', 'NATS servers of a sweep, as its pods reach them (default: tls://nats.NAMESPACE.svc:4222)')
    .option('--dry-run', 'print the objects and send nothing', false)
    .option('-o, --output <file>', 'write the objects to this file, too')
    .option('--follow', 'wait for the end and print the result', false)
    .addHelpText(
      'after',
      `
Examples:
  $ deepdefense submit -c examples/sweep-gfa-weights.yaml --follow
  $ deepdefense submit -c examples/cluster.yaml --workers 4 --gpus 1
  $ deepdefense submit -c examples/cluster.yaml --dry-run -o run.yaml
  $ deepdefense submit status ${EXAMPLE_ID}

With --insecure, which comes before the command, coordinator and workers have no certificates. See docs/submit.md.`,
    )
    .action(async (options: Omit<SubmitOptions, 'config'> & { readonly config?: string }) => {
      if (options.config === undefined) throw fileMissing();
      const { runSubmit } = await import('../submit/submit-command.ts');
      await runSubmit({ ...options, config: options.config }, tools);
    });
  const example = (rest: string) => `\nExample:\n  $ deepdefense submit ${rest}`;
  submit
    .command('status')
    .description('how far a sweep or run is, and its pods; without a name all that was submitted')
    .argument('[name]', 'id of the sweep or run')
    .addHelpText('after', example(`status ${EXAMPLE_ID}`))
    .action(async (name: string | undefined, _: object, command: Command) => {
      const { runSubmitStatus } = await import('../submit/submit-command.ts');
      await runSubmitStatus(name, command.optsWithGlobals<ClusterOptions>(), tools);
    });
  submit
    .command('results')
    .description('what came out, once it is over')
    .argument('<name>', 'id of the sweep or run')
    .addHelpText('after', example(`results ${EXAMPLE_ID} --json`))
    .action(async (name: string, _: object, command: Command) => {
      const { runSubmitResults } = await import('../submit/submit-command.ts');
      await runSubmitResults(name, command.optsWithGlobals<ClusterOptions>(), tools);
    });
  submit
    .command('logs')
    .description('logs of its coordinators and own workers')
    .argument('<name>', 'id of the sweep or run')
    .addHelpText('after', `${example(`logs ${EXAMPLE_ID} --follow`)}\n\n--follow, an option of submit, goes on with what comes.`)
    .action(async (name: string, _: object, command: Command) => {
      const { runSubmitLogs } = await import('../submit/submit-command.ts');
      await runSubmitLogs(name, command.optsWithGlobals<ClusterOptions & { readonly follow: boolean }>(), tools);
    });
  submit
    .command('delete')
    .description('remove it from the cluster; its folders on their volumes stay')
    .argument('<name>', 'id of the sweep or run')
    .option('--volumes', 'remove the volumes with its folders, too; or those that an earlier delete has left', false)
    .addHelpText('after', example(`delete ${EXAMPLE_ID}`))
    .action(async (name: string, _: object, command: Command) => {
      const { runSubmitDelete } = await import('../submit/submit-command.ts');
      await runSubmitDelete(name, command.optsWithGlobals<ClusterOptions & { readonly volumes: boolean }>(), tools);
    });
};

/** A quantity as Kubernetes writes it: `500m`, `1.5`, `8Gi`. */
function quantity(text: string): string {
  if (/^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.test(text)) return text;
  throw new InvalidArgumentError(`expected a quantity such as 500m, 2 or 8Gi, got "${text}"`);
}

function fileMissing(): DeepDefenseError {
  return new DeepDefenseError('USAGE', {
    what: 'submit needs a file',
    expected: '-c FILE with a sweep or a training config, or one of the commands status, results, logs, delete',
    todo: 'start from examples/sweep-gfa-weights.yaml or examples/cluster.yaml',
  });
}
