/** @file `doctor`: is everything here that deepdefense needs? */
import type { CommandDefinition } from '../command-definition.ts';
import type { CheckResult } from '../doctor-checks.ts';

const MARKS: Readonly<Record<CheckResult['state'], string>> = { ok: 'ok', info: '-', warning: 'warning', failed: 'FAILED' };

export const doctorCommand: CommandDefinition = (program, { context, setExitCode }) => {
  program
    .command('doctor')
    .description('check versions, engines, data, ports and folders, and run a short self-test')
    .option('--data <path>', 'also check this CIFAR-10 archive or folder')
    .option('--runs-folder <path>', 'folder that runs are written to', 'runs')
    .addHelpText('after', '\nExample:\n  $ deepdefense doctor\n\nThe exit code is 0 when nothing failed; warnings do not count.')
    .action(async ({ data, runsFolder }: { data?: string; runsFolder: string }) => {
      const { machineCheck, portsCheck, runCheck, runsFolderCheck, versionsCheck } = await import('../doctor-checks.ts');
      const { dataCheck } = await import('../doctor-data.ts');
      const { engineCheck, enginesCheck } = await import('../doctor-engines.ts');
      const { grpcCheck } = await import('../doctor-network.ts');
      const results: CheckResult[] = [];
      for (const check of [
        versionsCheck,
        machineCheck,
        enginesCheck,
        engineCheck,
        dataCheck(data),
        portsCheck,
        grpcCheck,
        runsFolderCheck(runsFolder),
      ]) {
        results.push(await runCheck(check));
      }
      const failed = results.filter(({ state }) => state === 'failed');
      const healthy = failed.length === 0;
      const width = Math.max(...results.map(({ name }) => name.length));
      const lines = results.map(
        ({ name, state, detail }) =>
          `${MARKS[state].padEnd(8)}${name.padEnd(width)}  ${detail.replaceAll('\n', `\n${' '.repeat(width + 10)}`)}`,
      );
      lines.push('', healthy ? 'Everything that training needs works.' : `${failed.length} of ${results.length} checks failed.`);
      context().result({ healthy, checks: results }, lines.join('\n'));
      setExitCode(failed[0]?.exitCode ?? 0);
    });
};
