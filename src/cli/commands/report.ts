/** @file `report`: one HTML page and a table about one or several runs. */
import type { CommandDefinition } from '../command-definition.ts';

export const reportCommand: CommandDefinition = (program, { context }) => {
  program
    .command('report')
    .description('write an HTML summary of runs (curves, accuracy against eps, alignment per layer) and print a table')
    .argument('<run...>', 'run folders')
    .option('-o, --output <file>', 'HTML file to write (default: report.html in the first run folder)')
    .addHelpText('after', '\nExample:\n  $ deepdefense report runs/benchmark-* runs/deep-* -o compare.html')
    .action(async (folders: readonly string[], { output }: { output?: string }) => {
      const { join } = await import('node:path');
      const { formatTable, readRun, writeReport } = await import('../../reports/index.ts');
      const file = output ?? join(folders[0] as string, 'report.html');
      await writeReport([...folders], file);
      const runs = await Promise.all(folders.map(readRun));
      context().result(
        { report: file, runs: runs.map(({ runId, folder, state, finalAccuracies }) => ({ runId, folder, state, finalAccuracies })) },
        `${formatTable(runs)}\n\nreport: ${file}`,
      );
    });
};
