/** @file What our own containers are told, they understand. */
import { createProgram } from '../../../../src/cli/program.ts';
import { type Manifest, nameOf, podTemplates } from '../manifest.ts';

/** Read without an option of their own; docs/operations.md lists them. */
const VARIABLES = ['DEEPDEFENSE_DATA', 'DEEPDEFENSE_CACHE', 'DEEPDEFENSE_CERTS', 'DEEPDEFENSE_NATS', 'DEEPDEFENSE_NATS_CREDENTIALS'];

/** Arguments of containers with our images parse with our own commands, and their environment has no variable that nobody reads. */
export async function commandLinesParse(manifests: readonly Manifest[]): Promise<string[]> {
  const problems: string[] = [];
  for (const { owner, containers } of podTemplates(manifests))
    for (const { name, image = '', command, args = [], env = [] } of containers) {
      if (!image.startsWith('deepdefense/')) continue;
      const where = `${nameOf(owner)}/${name}`;
      if (command !== undefined) problems.push(`${where}: replaces the entry point of its image`);
      const refusal = await parse(args);
      if (refusal !== undefined) problems.push(`${where}: ${refusal}`);
      for (const { name: variable } of env)
        if (variable.startsWith('DEEPDEFENSE_') && !VARIABLES.includes(variable)) problems.push(`${where}: nobody reads ${variable}`);
    }
  return problems;
}

/** Parses a command line without running its command. @returns why it was refused */
async function parse(args: readonly string[]): Promise<string | undefined> {
  let ran = false;
  const program = createProgram({ stdout: () => {}, stderr: () => {} }, () => {});
  const commands = program.commands.flatMap((command) => [command, ...command.commands]);
  for (const command of commands)
    command.action(() => {
      ran = true;
    });
  try {
    await program.parseAsync(args, { from: 'user' });
    return ran ? undefined : 'no command';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
