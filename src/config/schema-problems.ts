/** @file What a schema has against an input, in words. */
import type { z } from 'zod';
import { type ConfigProblem, quoteValue } from './config-problem.ts';
import { nearestName } from './edit-distance.ts';
import type { SchemaFields } from './schema-fields.ts';

/** All problems; misspelt keys first, because a wrong value elsewhere is often their consequence. */
export function schemaProblems(error: z.ZodError, input: unknown, fields: SchemaFields): ConfigProblem[] {
  const problems = error.issues.flatMap((issue) => problemsOfIssue(issue, input, fields));
  return problems.sort((a, b) => Number(b.code === 'CONFIG_UNKNOWN_KEY') - Number(a.code === 'CONFIG_UNKNOWN_KEY'));
}

function problemsOfIssue(issue: z.core.$ZodIssue, input: unknown, fields: SchemaFields): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...issue.path], key, input, fields));
  const path = issue.path.map(String).join('.');
  const expected = fields.acceptedAt(issue.path, input);
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

function unknownKey(sectionPath: readonly PropertyKey[], key: string, input: unknown, fields: SchemaFields): ConfigProblem {
  const section = sectionPath.map(String).join('.');
  const path = section === '' ? key : `${section}.${key}`;
  const known = fields.keysOfSection(sectionPath, input);
  const nearest = nearestName(key, known);
  const suggestion = nearest === undefined ? elsewhere(key, fields) : section === '' ? nearest : `${section}.${nearest}`;
  return {
    code: 'CONFIG_UNKNOWN_KEY',
    path,
    what: `unknown key "${path}"`,
    expected: `one of ${known.join(', ')}`,
    ...(suggestion === undefined ? {} : { todo: `did you mean "${suggestion}"?` }),
  };
}

/** The full path of a key that exists under exactly this name in another section. */
function elsewhere(key: string, fields: SchemaFields): string | undefined {
  return fields.fields().find((field) => field.path.endsWith(`.${key}`))?.path;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  return value;
}
