/** @file One command line from arguments to exit code. */
import { EXIT_CODES } from '../core/index.ts';
import type { Write } from './context.ts';
import { createProgram } from './program.ts';
import { reportError } from './report-error.ts';

/** Where the command writes; the process's streams unless a test gives others. */
export interface CliStreams {
  readonly stdout: Write;
  readonly stderr: Write;
}

const processStreams: CliStreams = {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
};

/**
 * Runs one command.
 * @param args without node and script, e.g. `['train', '-c', 'run.yaml']`.
 * @returns the exit code, see docs/exit-codes.md. Never throws.
 */
export async function runCli(args: readonly string[], streams: CliStreams = processStreams): Promise<number> {
  let exitCode: number = EXIT_CODES.OK;
  try {
    const program = createProgram(streams, (code) => {
      exitCode = code;
    });
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    return reportError(error, { json: args.includes('--json'), ...streams });
  }
}
