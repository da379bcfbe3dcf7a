/** @file `sweep`: hyperparameter sweeps. */
import { type Command, Option } from 'commander';
import { collect, type CommandDefinition } from '../command-definition.ts';
import { httpPortOption, natsCredentialsOption, natsOption, natsPatienceOption, natsReplicasOption } from '../config-options.ts';
import { integerFrom, integerIn, numberIn, plainId } from '../option-parsers.ts';
import type { NatsFlags } from '../sweep/nats-options.ts';
import type { SweepResumeOptions, SweepRunOptions } from '../sweep/sweep-command.ts';

export const sweepCommand: CommandDefinition = (program, tools) => {
  const sweep = program
    .command('sweep')
    .description('try many configs: sample a space of hyperparameters, train and attack the candidates on many workers')
    .option('-c, --config <file>', 'sweep file in YAML, see docs/sweeps.md')
    .option('--set <key=value>', 'override one key of the sweep file; repeatable. config.KEY is a key of the training config', collect, [])
    .option('--out <folder>', 'folder of the sweep; a second call with the same file goes on there (default: a new one below sweeps/)')
    .option('--id <id>', 'name of the sweep in place of a new one; a second call with the same one goes on there', plainId)
    .addOption(natsOption())
    .addOption(natsCredentialsOption())
    .addOption(natsPatienceOption())
    .addOption(natsReplicasOption())
    .option('--standby', 'wait while another coordinator runs the sweep, and take over when it is gone')
    .option('--stay', 'serve the result of the sweep when it is over, until a signal comes; for what starts ended processes again')
    .option('--max-parallel <count>', 'trials computed at a time at most; short for --set maxParallel', integerFrom(1))
    .option(
      '--workers <count>',
      'worker processes to start; 0 = wait for workers from elsewhere. Results do not depend on it',
      integerIn(0, 256),
      2,
    )
    .option('--data <path>', 'CIFAR-10: official archive or unpacked folder (else DEEPDEFENSE_DATA, the cache)')
    .option('--host <address>', 'address that the coordinator listens on', '127.0.0.1')
    .option('--port <port>', 'port of the coordinator; 0 = any free port', integerIn(0, 65535), 0)
    .addOption(httpPortOption().default(0))
    .addHelpText(
      'after',
      `
Examples:
  $ deepdefense sweep -c examples/sweep-gfa-weights.yaml --workers 2 --data ~/cifar-10-batches-bin
  $ deepdefense sweep status sweeps/gfa-weights-20250102-030405-a1b2
  $ deepdefense sweep resume sweeps/gfa-weights-20250102-030405-a1b2

Ctrl-C lets trials write checkpoints and ends with code 130; sweep resume goes on. See docs/sweeps.md.`,
    )
    .action(async (options: Omit<SweepRunOptions, 'config'> & { readonly config?: string }) => {
      const { runSweepCommand, sweepFileMissing } = await import('../sweep/sweep-command.ts');
      if (options.config === undefined) throw sweepFileMissing();
      await runSweepCommand({ ...options, config: options.config }, tools);
    });
  sweep
    .command('resume')
    .description('go on with a sweep that is paused, was stopped, or was interrupted by a crash')
    .argument('<sweep>', 'folder or id of the sweep')
    .addOption(
      new Option('--failed <from>', 'try failed trials again, too: from their last checkpoint or from scratch').choices([
        'checkpoint',
        'scratch',
      ]),
    )
    .addHelpText('after', '\nExample:\n  $ deepdefense sweep resume sweeps/gfa-weights-20250102-030405-a1b2 --failed checkpoint')
    .action(async (name: string, _: object, command: Command) => {
      const { runSweepResume } = await import('../sweep/sweep-command.ts');
      // --workers, --data, --host, --port and others are those of `sweep`, which commander reads wherever they stand.
      await runSweepResume(name, command.optsWithGlobals<SweepResumeOptions>(), tools);
    });
  const controls = {
    status: 'say how far a sweep is',
    pause: 'give out no more trials; those under way go on to their measurement',
    stop: 'end a sweep; it can be resumed',
  } as const;
  for (const [action, description] of Object.entries(controls))
    sweep
      .command(action)
      .description(description)
      .argument('<sweep>', 'folder or id of the sweep')
      .addHelpText('after', `\nExample:\n  $ deepdefense sweep ${action} sweeps/gfa-weights-20250102-030405-a1b2`)
      .action(async (name: string, _: object, command: Command) => {
        const { runSweepControl } = await import('../sweep/sweep-command.ts');
        await runSweepControl(name, action as keyof typeof controls, command.optsWithGlobals<NatsFlags>(), tools);
      });
  sweep
    .command('extend')
    .description('raise the number of candidates of a sweep, running or not')
    .argument('<sweep>', 'folder or id of the sweep')
    .requiredOption('--candidates <count>', 'candidates of the whole sweep from now on', integerFrom(1))
    .addHelpText('after', '\nExample:\n  $ deepdefense sweep extend sweeps/gfa-weights-20250102-030405-a1b2 --candidates 80')
    .action(async (name: string, { candidates }: { readonly candidates: number }, command: Command) => {
      const { runSweepExtend } = await import('../sweep/sweep-command.ts');
      await runSweepExtend(name, candidates, command.optsWithGlobals<NatsFlags>(), tools);
    });
  sweep
    .command('priority')
    .description("another share of the workers' time, of a sweep that runs or not; see docs/sweeps.md")
    .argument('<sweep>', 'folder or id of the sweep')
    .argument('<priority>', 'relative to the other sweeps of the tenant; the default is 1', numberIn(0, 1000))
    .addHelpText('after', '\nExample:\n  $ deepdefense sweep priority gfa-weights-20250102-030405-a1b2 3')
    .action(async (name: string, priority: number, _: object, command: Command) => {
      const { runSweepPriority } = await import('../sweep/sweep-command.ts');
      await runSweepPriority(name, priority, command.optsWithGlobals<NatsFlags>(), tools);
    });
  sweep
    .command('list')
    .description('all sweeps on NATS servers: state, tenant, priority, progress, coordinator, age')
    .addHelpText('after', '\nExample:\n  $ deepdefense sweep list --nats tls://nats.deepdefense.svc:4222 --certs certs/operator-me')
    .action(async (_: object, command: Command) => {
      const { runSweepList } = await import('../sweep/platform-command.ts');
      await runSweepList(command.optsWithGlobals<NatsFlags>(), tools);
    });
  sweep
    .command('delete')
    .description('delete a sweep from NATS servers, with its journal; folders stay')
    .argument('<sweep>', 'id of the sweep')
    .option('--yes', 'really; it cannot be brought back')
    .addHelpText('after', '\nExample:\n  $ deepdefense sweep delete my-sweep --yes --nats nats://127.0.0.1:4222')
    .action(async (name: string, _: object, command: Command) => {
      const { runSweepDelete } = await import('../sweep/platform-command.ts');
      await runSweepDelete(name, command.optsWithGlobals<NatsFlags & { readonly yes?: boolean }>(), tools);
    });
  sweep
    .command('results')
    .description('all candidates with their figures; writes sweep.html and sweep.csv, also of a sweep that is running')
    .argument('<sweep>', 'folder or id of the sweep')
    .option('--baseline <candidate>', 'compare the front with this candidate, seed by seed', integerFrom(0))
    .addHelpText('after', '\nExample:\n  $ deepdefense sweep results sweeps/gfa-weights-20250102-030405-a1b2 --json')
    .action(async (name: string, options: { readonly baseline?: number }) => {
      const { runSweepResults } = await import('../sweep/sweep-command.ts');
      await runSweepResults(name, options, tools);
    });
  sweep
    .command('best')
    .description('the Pareto front; of one objective the best candidate. Compares the highest rung only')
    .argument('<sweep>', 'folder or id of the sweep')
    .addHelpText('after', '\nExample:\n  $ deepdefense sweep best sweeps/gfa-weights-20250102-030405-a1b2')
    .action(async (name: string) => {
      const { runSweepBest } = await import('../sweep/sweep-command.ts');
      await runSweepBest(name, tools);
    });
  sweep
    .command('plan')
    .description('time a few training steps and say how many trials will run how long, and what more workers would change')
    .addHelpText('after', '\nExample:\n  $ deepdefense sweep plan -c examples/sweep-gfa-weights.yaml --workers 4')
    .action(async (_: object, command: Command) => {
      const { sweepFileMissing } = await import('../sweep/sweep-command.ts');
      const { runSweepPlan } = await import('../sweep/plan-command.ts');
      const options = command.optsWithGlobals<Omit<SweepRunOptions, 'config'> & { readonly config?: string }>();
      if (options.config === undefined) throw sweepFileMissing();
      await runSweepPlan({ ...options, config: options.config }, tools);
    });
};
