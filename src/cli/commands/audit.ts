/** @file `audit`: is a run what its journal says? */
import type { AuditReport } from '../../coordinator/index.ts';
import { EXIT_CODES } from '../../core/index.ts';
import type { CommandDefinition } from '../command-definition.ts';
import { integerIn } from '../option-parsers.ts';
import type { ReplayReport } from '../replay.ts';

interface AuditOptions {
  readonly data?: string;
  readonly replay?: number;
  readonly seed?: number;
}

export const auditCommand: CommandDefinition = (program, { context, setExitCode }) => {
  program
    .command('audit')
    .description('verify a run: journal unbroken, every sample consumed exactly once, checkpoints, weights and samples unchanged')
    .argument('<run>', 'run folder')
    .option('--data <path>', 'the dataset of the run, to check its samples; default: where a worker would look')
    .option('--replay <steps>', 'also compute so many random steps once more and compare their hashes', integerIn(1, 100_000))
    .option('--seed <seed>', 'chooses the steps of --replay; default: by chance', integerIn(0, 2 ** 31 - 1))
    .addHelpText(
      'after',
      `
Examples:
  $ deepdefense audit runs/cifar10-deep-20250102-030405-a1b2
  $ deepdefense audit runs/cifar10-deep-20250102-030405-a1b2 --data ~/cifar-10-batches-bin --replay 5

Exit code 11 when something was changed, is missing or was counted twice.`,
    )
    .action(async (folder: string, { data, replay, seed }: AuditOptions) => {
      const surroundings = context();
      const { join } = await import('node:path');
      const { auditRun, readHistory } = await import('../../coordinator/index.ts');
      const { history } = await readHistory(folder);
      const dataPath = data ?? history.config.data.path;
      const dataset = await openForAudit(history.config.data.source, dataPath, data !== undefined, surroundings.notice.bind(surroundings));
      const report = await auditRun(folder, { dataset });
      let replayed: ReplayReport | undefined;
      if (replay !== undefined) {
        const { replaySteps } = await import('../replay.ts');
        const { randomInt } = await import('node:crypto');
        replayed = await replaySteps({
          checkpointFolder: join(folder, 'checkpoints'),
          history,
          dataPath,
          count: replay,
          seed: seed ?? randomInt(2 ** 31),
          onProgress: (done, total) => surroundings.notice(`replay: step ${done + 1} of ${total}`),
        });
      }
      const passed = report.passed && (replayed === undefined || replayed.findings.length === 0);
      surroundings.result(
        { ...report, passed, ...(replayed === undefined ? {} : { replay: replayed }) },
        describe(report, replayed, passed),
      );
      if (!passed) setExitCode(EXIT_CODES.AUDIT);
    });
};

/** The dataset, or undefined when none was named and none is where it is looked for. */
async function openForAudit(source: 'cifar10' | 'synthetic', path: string | undefined, named: boolean, notice: (text: string) => void) {
  const { openDataset } = await import('../../data/index.ts');
  try {
    return await openDataset({ source, path });
  } catch (error) {
    if (named) throw error;
    notice(`the dataset isn't checked: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    return undefined;
  }
}

const MARKS = { true: 'ok', false: 'FAILED', null: '-' } as const;

function describe({ runId, state, steps, checks }: AuditReport, replayed: ReplayReport | undefined, passed: boolean): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = [`run ${runId}: ${state}, ${steps} steps`];
  for (const { name, passed: ok, detail, findings } of checks) {
    lines.push(`${MARKS[`${ok}`].padEnd(7)} ${name.padEnd(width)}  ${detail}`);
    for (const finding of findings) lines.push(`          ${finding}`);
  }
  if (replayed !== undefined) {
    const mark = replayed.findings.length === 0 ? 'ok' : 'FAILED';
    lines.push(
      `${mark.padEnd(7)} ${'replay'.padEnd(width)}  steps ${replayed.steps.join(', ')} (${replayed.computed} computed) on ${replayed.engine}`,
    );
    for (const finding of replayed.findings) lines.push(`          ${finding}`);
  }
  lines.push(passed ? 'verified' : 'NOT verified');
  return lines.join('\n');
}
