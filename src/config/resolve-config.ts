/** @file From what a user wrote to the one frozen config that the rest of the project sees. */
import type { z } from 'zod';
import { type ConfigProblem, configError } from './config-problem.ts';
import { crossCheck } from './cross-checks.ts';
import { TRAINING_FIELDS } from './field-table.ts';
import { type ClusterLimits, type Config, configSchema } from './schema.ts';
import { schemaProblems } from './schema-problems.ts';

/**
 * Fills in defaults, checks everything and freezes the result.
 * @param input plain data, as from YAML.
 * @param source what to call the input in messages.
 * @throws DeepDefenseError CONFIG_*: all problems are reported together, see {@link configError}.
 */
export function resolveConfig(input: unknown = {}, source = 'config'): Config {
  const parsed = configSchema.safeParse(input ?? {});
  const problems = parsed.success ? [...crossCheck(parsed.data)] : problemsOf(parsed.error, input);
  if (!parsed.success || problems.length > 0) throw configError(source, problems);
  return deepFreeze(parsed.data);
}

/** Schema problems, and cross-key problems of the sections that the schema accepts. */
function problemsOf(error: z.ZodError, input: unknown): ConfigProblem[] {
  const problems = schemaProblems(error, input, TRAINING_FIELDS);
  const broken = new Set(problems.map((problem) => problem.path.split('.', 1)[0] as string));
  if (!isRecord(input)) return problems;
  const rest = configSchema.safeParse(Object.fromEntries(Object.entries(input).filter(([section]) => !broken.has(section))));
  if (rest.success) problems.push(...crossCheck(rest.data, broken));
  return problems;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Freezes a tree of plain objects and arrays in place. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) deepFreeze(child);
  }
  return value;
}

/**
 * The limits in a training config that may not be complete, such as that of a sweep.
 * @throws DeepDefenseError CONFIG_*
 */
export function limitsOf(base: unknown): ClusterLimits {
  const cluster = isRecord(base) ? base.cluster : undefined;
  return resolveConfig({ cluster: { limits: isRecord(cluster) ? cluster.limits : undefined } }).cluster.limits;
}
