#!/usr/bin/env node
/** @file The `deepdefense` command. */
import { runCli } from './run-cli.ts';

process.exitCode = await runCli(process.argv.slice(2));
