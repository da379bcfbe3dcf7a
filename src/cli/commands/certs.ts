/** @file `certs`: an authority and the certificates of coordinators, workers and operators, for mutual TLS. */
import { Option } from 'commander';
import { type Role, ROLES } from '../../core/index.ts';
import { collect, type CommandDefinition } from '../command-definition.ts';
import { integerIn } from '../option-parsers.ts';

interface IssueOptions {
  readonly role: Role;
  readonly name: string;
  readonly host: readonly string[];
  readonly days: number;
}

const MOST_DAYS = 3650;

export const certsCommand: CommandDefinition = (program, { context }) => {
  const certs = program
    .command('certs')
    .description('certificates for mutual TLS between coordinators, workers and operators; see docs/security.md')
    .addHelpText(
      'after',
      `
Example:
  $ deepdefense certs init certs
  $ deepdefense certs issue certs --role coordinator --name main
  $ deepdefense certs issue certs --role worker --name gpu-1
  $ deepdefense coordinator -c examples/cluster.yaml --certs certs/coordinator-main
  $ deepdefense worker --coordinator HOST:50051 --certs certs/worker-gpu-1`,
    );
  certs
    .command('init')
    .description('make an authority')
    .argument('<folder>', 'folder of the authority; its key never leaves it')
    .addOption(days(MOST_DAYS, 'validity of the authority'))
    .action(async (folder: string, options: { readonly days: number }) => {
      const { initAuthority } = await import('../../security/index.ts');
      await initAuthority(folder, options.days);
      context().result(
        { folder },
        `authority in ${folder}, valid for ${options.days} days; issue certificates with: deepdefense certs issue ${folder}`,
      );
    });
  certs
    .command('issue')
    .description('issue the certificate of one coordinator, worker, operator or NATS server')
    .argument('<folder>', 'folder of the authority')
    .addOption(new Option('--role <role>', 'what its owner may do').choices(ROLES).makeOptionMandatory())
    .requiredOption('--name <name>', 'name of its owner; ids of a worker begin with it')
    .option('--host <host>', 'DNS name or address, for programs that check it; repeatable', collect, [])
    .addOption(days(90, 'validity'))
    .action(async (folder: string, { role, name, host, days: valid }: IssueOptions) => {
      const { issueInto } = await import('../../security/index.ts');
      const path = await issueInto(folder, { role, name }, host, valid);
      context().result(
        { folder: path, role, name, days: valid },
        `${path}: ${role} "${name}", valid for ${valid} days; copy it to its owner and use it with --certs`,
      );
    });
  certs
    .command('rotate')
    .description(
      'issue certificates anew that end soon; workers take the new ones with their next connection, coordinators when they start',
    )
    .argument('<folder>', 'folder of the authority')
    .option('--within <days>', 'those that end within so many days', integerIn(0, MOST_DAYS), 30)
    .addOption(days(90, 'validity of the new ones'))
    .action(async (folder: string, { within, days: valid }: { readonly within: number; readonly days: number }) => {
      const { issueInto, listIssued } = await import('../../security/index.ts');
      const due = (await listIssued(folder)).filter(({ daysLeft }) => daysLeft === undefined || daysLeft <= within);
      for (const { role, name, hosts } of due) await issueInto(folder, { role, name }, hosts, valid);
      context().result(
        { rotated: due.map(({ folder: path }) => path) },
        due.length === 0 ? `no certificate ends within ${within} days` : `issued anew: ${due.map(({ folder: path }) => path).join(', ')}`,
      );
    });
  certs
    .command('list')
    .description('what the authority has issued, and for how long it is valid')
    .argument('<folder>', 'folder of the authority')
    .action(async (folder: string) => {
      const { listIssued } = await import('../../security/index.ts');
      const issued = await listIssued(folder);
      const lines = issued.map(
        ({ role, name, daysLeft, problem }) =>
          `${role} "${name}": ${daysLeft === undefined ? problem : `${Math.floor(daysLeft)} days left`}`,
      );
      context().result({ certificates: issued }, lines.length === 0 ? 'no certificates' : lines.join('\n'));
    });
};

function days(fallback: number, description: string): Option {
  return new Option('--days <days>', `${description}, in days`).argParser(integerIn(1, MOST_DAYS)).default(fallback);
}
