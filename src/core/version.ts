/** @file The versions of this build, of the wire protocol and of what is kept. docs/upgrading.md says when each must rise. */
import { createRequire } from 'node:module';
import { DeepDefenseError } from './errors.ts';

const packageJson = createRequire(import.meta.url)('../../package.json') as { version: string };

/** Version of the package, as in package.json. */
export const PACKAGE_VERSION: string = packageJson.version;

/** Major version of proto/; coordinator and worker must agree. */
export const PROTOCOL_VERSION = 3;

/** Of a run's journal and folder; stands in the first event. Journals without a number are of format 1. */
export const RUN_FORMAT = 1;

/** Of a sweep's journal, definition and records on NATS; stands in the first event. Journals without a number are of format 1. */
export const SWEEP_FORMAT = 1;

/** Of a checkpoint, behind the last hyphen of its metadata's `format`. */
export const CHECKPOINT_FORMAT = 1;

/**
 * Refuses what a later version wrote: it may hold what this one would overlook.
 * @param what quoted in the message, with its path
 * @throws DeepDefenseError FORMAT_NEWER
 */
export function checkFormat(what: string, format: number, known: number): void {
  if (format <= known) return;
  throw new DeepDefenseError('FORMAT_NEWER', {
    what: `${what} was written by a newer version of deepdefense`,
    expected: `format ${known} or older, which version ${PACKAGE_VERSION} reads`,
    got: `format ${format}`,
    todo: 'use the version that wrote it, or a later one',
    fields: { format, known },
  });
}

/** Version of the package that an engine fingerprint names; undefined where it names none. */
export function packageVersionOf(engineFingerprint: string): string | undefined {
  return /(?:^| )deepdefense-(\S+)/.exec(engineFingerprint)?.[1];
}
