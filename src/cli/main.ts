#!/usr/bin/env node
/** @file The `deepdefense` command. */
import { runCli } from './run-cli.ts';

// A reader such as `head` may close the pipe early; that is its right.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2));
