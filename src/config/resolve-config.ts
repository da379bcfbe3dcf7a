/** @file From what a user wrote to the one frozen config that the rest of the project sees. */
import type { z } from 'zod';
import { type ConfigProblem, configError, quoteValue } from './config-problem.ts';
import { crossCheck } from './cross-checks.ts';
import { nearestName } from './edit-distance.ts';
import { acceptedAt, configFields, keysOfSection } from './field-table.ts';
import { type Config, configSchema } from './schema.ts';

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
  const problems = error.issues.flatMap((issue) => problemsOfIssue(issue, input));
  // Misspelt keys first: a wrong value elsewhere is often their consequence.
  problems.sort((a, b) => Number(b.code === 'CONFIG_UNKNOWN_KEY') - Number(a.code === 'CONFIG_UNKNOWN_KEY'));
  const broken = new Set(problems.map((problem) => problem.path.split('.', 1)[0] as string));
  if (!isRecord(input)) return problems;
  const rest = configSchema.safeParse(Object.fromEntries(Object.entries(input).filter(([section]) => !broken.has(section))));
  if (rest.success) problems.push(...crossCheck(rest.data, broken));
  return problems;
}

function problemsOfIssue(issue: z.core.$ZodIssue, input: unknown): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...issue.path], key));
  const path = issue.path.map(String).join('.');
  const expected = acceptedAt(issue.path);
  return [
    {
      code: 'CONFIG_INVALID',
      path,
      what: path === '' ? 'the config is not a mapping of keys to values' : `${path} has a bad value`,
      ...(expected === undefined ? { expected: issue.message } : { expected }),
      got: quoteValue(valueAt(input, issue.path)),
    },
  ];
}

function unknownKey(sectionPath: readonly PropertyKey[], key: string): ConfigProblem {
  const section = sectionPath.map(String).join('.');
  const path = section === '' ? key : `${section}.${key}`;
  const known = keysOfSection(sectionPath);
  const nearest = nearestName(key, known);
  const suggestion = nearest === undefined ? elsewhere(key) : section === '' ? nearest : `${section}.${nearest}`;
  return {
    code: 'CONFIG_UNKNOWN_KEY',
    path,
    what: `unknown key "${path}"`,
    expected: `one of ${known.join(', ')}`,
    ...(suggestion === undefined ? {} : { todo: `did you mean "${suggestion}"?` }),
  };
}

/** The full path of a key that exists under exactly this name in another section. */
function elsewhere(key: string): string | undefined {
  return configFields().find((field) => field.path.endsWith(`.${key}`))?.path;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  return value;
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
