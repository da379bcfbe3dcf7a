/** @file How an error leaves the process: a message or a JSON document, and the exit code. */
import { CommanderError } from 'commander';
import { DeepDefenseError, EXIT_CODES, isDeepDefenseError } from '../core/index.ts';
import type { Write } from './context.ts';
import { missingTensorPackage } from './tensor-packages.ts';

/**
 * Reports what was thrown and returns the exit code.
 * A {@link DeepDefenseError} is a message of a few lines; anything else is a bug and shows its stack.
 * With `json` the document `{"error": {...}}` goes to stdout, so that a program always finds one document there.
 */
export function reportError(thrown: unknown, { json, stdout, stderr }: { json: boolean; stdout: Write; stderr: Write }): number {
  const error = missingTensorPackage(thrown) ?? thrown;
  if (error instanceof CommanderError) {
    // Help and version end through an error too; commander has printed what there is to print.
    if (error.exitCode === 0) return EXIT_CODES.OK;
    const usage = new DeepDefenseError('USAGE', {
      what: error.message.replace(/^error: /, ''),
      todo: 'deepdefense --help lists commands and options',
    });
    if (json) stdout(`${JSON.stringify({ error: { ...usage.toJSON(), message: usage.message } }, undefined, 2)}\n`);
    return EXIT_CODES.USAGE;
  }
  if (isDeepDefenseError(error)) {
    if (json) stdout(`${JSON.stringify({ error: { ...error.toJSON(), message: error.message } }, undefined, 2)}\n`);
    else stderr(`error ${error.code}: ${error.message}\n`);
    return error.exitCode;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (json) {
    const message = error instanceof Error ? error.message : String(error);
    stdout(
      `${JSON.stringify({ error: { code: 'INTERNAL', exitCode: EXIT_CODES.INTERNAL, what: message, message, stack } }, undefined, 2)}\n`,
    );
  }
  stderr(`error INTERNAL: this is a bug in deepdefense\n${stack}\n`);
  return EXIT_CODES.INTERNAL;
}
