/** @file `tokens`: bearer tokens of workers and operators, in place of certificates. */
import { Option } from 'commander';
import type { Role } from '../../core/index.ts';
import type { CommandDefinition } from '../command-definition.ts';
import { integerIn } from '../option-parsers.ts';
import { addScopeOptions, type ScopeOptions, scopeOf } from '../scope-options.ts';

interface IssueOptions extends ScopeOptions {
  readonly role: Exclude<Role, 'coordinator'>;
  readonly name: string;
  readonly days: number;
}

const MOST_DAYS = 3650;

export const tokensCommand: CommandDefinition = (program, { context }) => {
  const tokens = program
    .command('tokens')
    .description('bearer tokens in place of client certificates, for coordinators with --accept-tokens; see docs/security.md')
    .addHelpText(
      'after',
      `
Example:
  $ deepdefense tokens issue certs --role worker --name gpu-1 --days 7
  $ deepdefense coordinator -c examples/cluster.yaml --certs certs/coordinator-main --accept-tokens
  $ deepdefense worker --coordinator HOST:50051 --token-file certs/token-worker-gpu-1/token`,
    );
  addScopeOptions(
    tokens
      .command('issue')
      .description('sign the token of one worker or operator')
      .argument('<folder>', 'folder of the authority, see `certs init`')
      .addOption(new Option('--role <role>', 'what its owner may do').choices(['worker', 'operator']).makeOptionMandatory())
      .requiredOption('--name <name>', 'name of its owner; ids of a worker begin with it'),
  )
    .addOption(new Option('--days <days>', 'validity, in days').argParser(integerIn(1, MOST_DAYS)).default(30))
    .action(async (folder: string, { role, name, days, ...options }: IssueOptions) => {
      const { issueTokenInto } = await import('../../security/index.ts');
      const scope = scopeOf(options);
      const file = await issueTokenInto(folder, { role, name, scope }, days);
      const where = scope === undefined ? '' : ` for ${scope.kind} "${scope.id}" alone`;
      context().result(
        { file, role, name, ...(scope !== undefined && { [scope.kind]: scope.id }), days },
        `${file}: ${role} "${name}"${where}, valid for ${days} days; copy it with the ca.pem beside it to its owner and use it with --token-file`,
      );
    });
};
