/** @file `quota`: how many trials the sweeps of a tenant may have under way. */
import { type Command, InvalidArgumentError } from 'commander';
import type { CommandDefinition } from '../command-definition.ts';
import { natsCredentialsOption, natsOption, natsReplicasOption } from '../config-options.ts';
import { integerIn } from '../option-parsers.ts';
import type { NatsFlags } from '../sweep/nats-options.ts';

/** As in the queue: the key that all workers of a tenant write must not become too large. */
const MOST_PARALLEL = 4096;

export const quotaCommand: CommandDefinition = (program, tools) => {
  const quota = program
    .command('quota')
    .description('limits of tenants on NATS servers: trials under way at a time, over all sweeps and workers; see docs/sweeps.md')
    .addHelpText(
      'after',
      `
Example:
  $ deepdefense quota set team-a 16 --nats tls://nats.deepdefense.svc:4222 --certs certs/operator-me
  $ deepdefense quota list --nats tls://nats.deepdefense.svc:4222 --certs certs/operator-me`,
    );
  quota
    .command('set')
    .description('set or lift the limit of a tenant; what is under way goes on')
    .argument('<tenant>', 'as `tenant` in its sweep files; "default" for sweeps that name none', tenantName)
    .argument('<count>', `0 to ${MOST_PARALLEL} trials, or "none" for no limit`, limit)
    .addOption(natsOption())
    .addOption(natsCredentialsOption())
    .addOption(natsReplicasOption())
    .action(async (tenant: string, { parallel }: Limit, _: object, command: Command) => {
      const { runQuotaSet } = await import('../sweep/platform-command.ts');
      await runQuotaSet(tenant, parallel, command.optsWithGlobals<NatsFlags>(), tools);
    });
  quota
    .command('list')
    .description('all limits, and how much of them is in use')
    .addOption(natsOption())
    .addOption(natsCredentialsOption())
    .action(async (_: object, command: Command) => {
      const { runQuotaList } = await import('../sweep/platform-command.ts');
      await runQuotaList(command.optsWithGlobals<NatsFlags>(), tools);
    });
};

interface Limit {
  readonly parallel: number | undefined;
}

function limit(text: string): Limit {
  return { parallel: text === 'none' ? undefined : integerIn(0, MOST_PARALLEL)(text) };
}

function tenantName(text: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(text)) return text;
  throw new InvalidArgumentError('expected 1 to 63 lower-case letters, digits and hyphens.');
}
