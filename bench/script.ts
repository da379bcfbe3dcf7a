/** @file What the scripts of this folder have around their measurement: help, errors, the head of the document, and how it is printed. */
import { isDeepDefenseError } from '../src/core/index.ts';
import { describeMachine, type Machine } from './machine.ts';
import { type Options, parseOptions, type Values } from './options.ts';

/** What every JSON document begins with. */
export interface DocumentHead {
  readonly machine: Machine;
  readonly versions: { readonly node: string };
}

/** To be taken before anything runs, for the load average. */
export function documentHead(): DocumentHead {
  return { machine: describeMachine(), versions: { node: process.versions.node } };
}

const WRONG_USAGE = 2;

/** Runs a script. An error becomes one message on stderr and its exit code, 2 for an unknown option or a bad value of one. */
export async function runScript<Of extends Options>(
  help: string,
  options: Of,
  run: (values: Values<Of>, head: DocumentHead) => Promise<void>,
): Promise<void> {
  const values = readOptions(help, options);
  try {
    await run(values, documentHead());
  } catch (error) {
    fail(error);
  }
}

/** The options of a script that has its own way to run; ends the process after `--help` and on wrong usage. */
export function readOptions<Of extends Options>(help: string, options: Of): Values<Of> {
  try {
    const values = parseOptions(options, process.argv.slice(2));
    if (values !== undefined) return values;
    process.stdout.write(`${help}\n`);
  } catch (error) {
    fail(error);
    process.exitCode = WRONG_USAGE;
  }
  process.exit();
}

/** Prints the document with `--json`, otherwise the text for people. */
export function printResult(json: boolean, document: object, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(document, null, 2)}\n` : `${text}\n`);
}

function fail(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = isDeepDefenseError(error) ? error.exitCode : 1;
}
