/** @file What can be wrong with a config: one record per problem, and the error that reports all of them at once. */
import { DeepDefenseError, type ErrorCode } from '../core/index.ts';

/** One problem of a config. */
export interface ConfigProblem {
  readonly code: ErrorCode;
  /** Dotted path of the key, e.g. `train.batchSize`. */
  readonly path: string;
  readonly what: string;
  readonly expected?: string;
  readonly got?: string;
  readonly todo?: string;
}

/**
 * The error for all problems of one config. Its code is the first problem's; `fields.problems` lists all of them.
 * @param source what the user gave, e.g. the file's path.
 * @param problems at least one.
 */
export function configError(source: string, problems: readonly ConfigProblem[]): DeepDefenseError {
  const [first, ...others] = problems;
  if (first === undefined) throw new DeepDefenseError('INTERNAL', { what: 'a config error needs at least one problem' });
  const fields = { source, path: first.path, problems };
  if (others.length === 0) {
    const { what, expected, got, todo } = first;
    return new DeepDefenseError(first.code, {
      what: `${source}: ${what}`,
      ...(expected === undefined ? {} : { expected }),
      ...(got === undefined ? {} : { got }),
      ...(todo === undefined ? {} : { todo }),
      fields,
    });
  }
  const list = problems.map((problem) => `  - ${problem.code}: ${oneLine(problem)}`).join('\n');
  return new DeepDefenseError(first.code, { what: `${source}: ${problems.length} problems\n${list}`, todo: 'correct all of them', fields });
}

function oneLine({ what, expected, got, todo }: ConfigProblem): string {
  const parts = [what];
  if (expected !== undefined) parts.push(`expected ${expected}`);
  if (got !== undefined) parts.push(`got ${got}`);
  if (todo !== undefined) parts.push(todo);
  return parts.join('; ');
}

/** A value quoted for a message, cut at 80 characters. */
export function quoteValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
