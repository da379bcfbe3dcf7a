#!/usr/bin/env -S node --v8-pool-size=0
/**
 * @file The `deepdefense` command. Without V8's helper threads: collecting the megabytes of each step on them took about a tenth more
 * processor time of a two-worker training (mean of five runs each), which the compute threads need.
 */
import { runCli } from './run-cli.ts';

// A reader such as `head` may close the pipe early; that is its right.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2));
