/** @file A sweep file, with the training config that its trials start from. */
import { dirname, resolve } from 'node:path';
import { DeepDefenseError, isDeepDefenseError } from '../../core/index.ts';
import { configError } from '../config-problem.ts';
import { resolveConfig, deepFreeze } from '../resolve-config.ts';
import { SchemaFields } from '../schema-fields.ts';
import { schemaProblems } from '../schema-problems.ts';
import { applyAssignments, mergeConfigs, parseAssignment, parseYamlConfig, readYamlFile } from '../yaml-source.ts';
import { type SweepConfig, sweepSchema } from './sweep-schema.ts';

/** Fields of a sweep file. */
export const SWEEP_FIELDS = new SchemaFields(sweepSchema, 'deepdefense sweep');

/** What a sweep is defined by; plain data. */
export interface SweepSource {
  readonly sweep: SweepConfig;
  /** Keys of the training config that differ from its defaults: the base file's with the sweep file's `config` over them. */
  readonly base: unknown;
}

export interface SweepSources {
  /** YAML file. */
  readonly file: string;
  /** `section.key=value` assignments to the sweep file, applied in order; those to `config.` change the training config. */
  readonly assignments?: readonly string[] | undefined;
  /** Keys of the training config that the command's own options set. */
  readonly options?: unknown;
}

/**
 * Loads and checks a sweep.
 * @throws DeepDefenseError CONFIG_FILE_MISSING, CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID, and what the training config is refused with
 */
export async function loadSweep({ file, assignments = [], options }: SweepSources): Promise<SweepSource> {
  const input = applyAssignments(parseYamlConfig(await readSweepFile(file), file), assignments.map(parseAssignment));
  const sweep = resolveSweep(input, file);
  const basePath = sweep.base === undefined ? undefined : resolve(dirname(file), sweep.base);
  const fromFile = basePath === undefined ? {} : parseYamlConfig(await readSweepFile(basePath), basePath);
  const base = mergeConfigs(mergeConfigs(fromFile, sweep.config), options);
  if (sweep.function === undefined) resolveConfig(base, basePath ?? `${file}: config`);
  return { sweep, base };
}

/** @throws DeepDefenseError CONFIG_UNKNOWN_KEY, CONFIG_INVALID: all problems together. */
export function resolveSweep(input: unknown, source = 'sweep'): SweepConfig {
  const parsed = sweepSchema.safeParse(input ?? {});
  if (!parsed.success) throw configError(source, schemaProblems(parsed.error, input, SWEEP_FIELDS));
  return deepFreeze(parsed.data);
}

async function readSweepFile(file: string): Promise<string> {
  try {
    return await readYamlFile(file);
  } catch (cause) {
    if (isDeepDefenseError(cause)) throw cause;
    throw new DeepDefenseError('CONFIG_FILE_MISSING', {
      what: `can't read "${file}"`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'check the path; examples/sweep-gfa-weights.yaml is a sweep to start from',
      fields: { path: file },
      cause,
    });
  }
}
