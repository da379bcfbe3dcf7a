/** @file The command tree. Commands import what they need when they run, so that `--help` starts at once. */
import { Command, Option } from 'commander';
import { PACKAGE_VERSION } from '../core/index.ts';
import type { CommandDefinition } from './command-definition.ts';
import { auditCommand } from './commands/audit.ts';
import { benchCommand } from './commands/bench.ts';
import { certsCommand } from './commands/certs.ts';
import { chaosCommand } from './commands/chaos.ts';
import { configCommand } from './commands/config.ts';
import { coordinatorCommand } from './commands/coordinator.ts';
import { dataCommand } from './commands/data.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evaluateCommand } from './commands/evaluate.ts';
import { exportCommand } from './commands/export.ts';
import { quickstartCommand } from './commands/quickstart.ts';
import { reportCommand } from './commands/report.ts';
import { sweepCommand } from './commands/sweep.ts';
import { trainCommand } from './commands/train.ts';
import { workerCommand } from './commands/worker.ts';
import { CERTS_VARIABLE, CommandContext, type GlobalOptions, LOG_LEVELS, type Write } from './context.ts';

const COMMANDS: readonly CommandDefinition[] = [
  quickstartCommand,
  trainCommand,
  coordinatorCommand,
  workerCommand,
  evaluateCommand,
  sweepCommand,
  reportCommand,
  auditCommand,
  exportCommand,
  dataCommand,
  configCommand,
  chaosCommand,
  benchCommand,
  certsCommand,
  doctorCommand,
];

/**
 * Builds the program.
 * @param setExitCode called by commands that succeed with another code than 0, such as an interrupted run.
 */
export function createProgram(streams: { stdout: Write; stderr: Write }, setExitCode: (code: number) => void): Command {
  const program = new Command('deepdefense')
    .description('Trains and evaluates adversarially robust image classifiers on many workers, reproducible to the bit.')
    .version(PACKAGE_VERSION, '-V, --version', 'print the version')
    .option('--json', 'print one JSON document on stdout; logs go to stderr', false)
    .addOption(new Option('--log-level <level>', 'what is logged on stderr').choices(LOG_LEVELS).default('info'))
    .addOption(new Option('--certs <folder>', 'certificates of this process, for mutual TLS; see `deepdefense certs`').env(CERTS_VARIABLE))
    .option('--insecure', 'plain text also to NATS servers and on addresses that other machines reach')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help of a command')
    .showSuggestionAfterError(true)
    .addHelpText('after', '\nExample:\n  $ deepdefense quickstart\n\nExit codes: docs/exit-codes.md');
  harden(program, streams);
  for (const define of COMMANDS) {
    define(program, {
      context: () => new CommandContext(program.opts<GlobalOptions>(), streams),
      setExitCode,
    });
  }
  for (const command of program.commands) {
    harden(command, streams);
    for (const child of command.commands) harden(child, streams);
  }
  return program;
}

/** Errors are thrown, not exits; output goes to the given streams; help shows the global options. */
function harden(command: Command, { stdout, stderr }: { stdout: Write; stderr: Write }): void {
  command
    .exitOverride()
    .configureOutput({ writeOut: stdout, writeErr: stderr })
    .configureHelp({ showGlobalOptions: true })
    .allowExcessArguments(false);
}
