/** @file Reads YAML text and `--set` assignments into plain data. */
import { readFile, stat } from 'node:fs/promises';
import { LineCounter, parse, parseDocument } from 'yaml';
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';

/** Largest file, in bytes; ours have a few thousand. */
const MOST_BYTES = 2 ** 20;
/** Deepest brackets; ours have three levels. */
const MOST_DEPTH = 100;

/**
 * Reads a config file, unless it is too large to be one.
 * @throws DeepDefenseError CONFIG_SYNTAX for one that is too large; the file system's error
 */
export async function readYamlFile(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > MOST_BYTES)
    throw new DeepDefenseError('CONFIG_SYNTAX', {
      what: `"${file}" is too large for a config`,
      expected: `at most ${MOST_BYTES} bytes`,
      got: String(size),
      todo: 'check the path',
      fields: { source: file },
    });
  return readFile(file, 'utf8');
}

/**
 * Parses a config file's text.
 * @throws DeepDefenseError CONFIG_SYNTAX with line and column (from 1).
 */
export function parseYamlConfig(text: string, source: string): unknown {
  const lineCounter = new LineCounter();
  if (bracketDepth(text) > MOST_DEPTH) throw tooDeep(source);
  try {
    const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true });
    const [error] = document.errors;
    if (error !== undefined) {
      const { line, col: column } = lineCounter.linePos(error.pos[0]);
      throw syntaxError(source, error.message, { line, column });
    }
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (cause) {
    if (isDeepDefenseError(cause)) throw cause;
    // Unresolved or exploding aliases surface only here, and text that is nested too deep for the stack.
    throw syntaxError(source, cause instanceof Error ? cause.message : String(cause), { line: 1, column: 1 });
  }
}

/** Levels of flow collections; the parser's time grows with their square. Brackets in quoted text count, too. */
function bracketDepth(text: string): number {
  let [depth, most] = [0, 0];
  for (const character of text) {
    if (character === '[' || character === '{') most = Math.max(most, ++depth);
    else if (character === ']' || character === '}') depth -= 1;
  }
  return most;
}

function tooDeep(source: string): DeepDefenseError {
  return syntaxError(source, `brackets nested more than ${MOST_DEPTH} deep`, { line: 1, column: 1 });
}

function syntaxError(source: string, message: string, { line, column }: { line: number; column: number }): DeepDefenseError {
  return new DeepDefenseError('CONFIG_SYNTAX', {
    what: `${source}:${line}:${column}: not valid YAML`,
    got: message,
    todo: 'correct the line; indentation is by spaces, and text with ": " or "#" needs quotes',
    fields: { source, line, column },
  });
}

/** One `--set` assignment. */
export interface Assignment {
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * Parses `a.b=c`; the value is a YAML scalar or flow collection (`[1, 2]`), and `null` or nothing unsets the key.
 * @throws DeepDefenseError USAGE for text without `=` or with an empty key; CONFIG_SYNTAX for a value that isn't YAML.
 */
export function parseAssignment(text: string): Assignment {
  const equals = text.indexOf('=');
  const path = text.slice(0, Math.max(equals, 0)).trim().split('.');
  if (equals < 1 || path.some((key) => key === '')) {
    throw new DeepDefenseError('USAGE', {
      what: `--set "${text}" is not an assignment`,
      expected: '--set section.key=value',
      todo: 'for example --set train.maxSteps=100',
    });
  }
  if (bracketDepth(text) > MOST_DEPTH) throw tooDeep('--set');
  try {
    return { path, value: parse(text.slice(equals + 1)) as unknown };
  } catch {
    throw new DeepDefenseError('CONFIG_SYNTAX', {
      what: `--set ${path.join('.')}: the value is not valid YAML`,
      got: text.slice(equals + 1, equals + 201),
      todo: 'quote it for the shell, for example --set "strategy.gfa.layers=[input, conv1]"',
      fields: { source: '--set', line: 1, column: 1 },
    });
  }
}

/** Applies assignments in order to a copy of `base`; null removes the key. */
export function applyAssignments(base: unknown, assignments: readonly Assignment[]): unknown {
  if (assignments.length === 0) return base;
  let result = base;
  for (const { path, value } of assignments) result = assign(result, path, value);
  return result;
}

function assign(target: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  // Entries instead of property writes: a key such as __proto__ stays data and is then refused as unknown.
  const entries = new Map(isPlainObject(target) ? Object.entries(target) : []);
  if (rest.length === 0 && (value === null || value === undefined)) entries.delete(key);
  else entries.set(key, assign(entries.get(key), rest, value));
  return Object.fromEntries(entries);
}

/** `over` laid on `base`, section by section; lists and scalars are replaced whole. */
export function mergeConfigs(base: unknown, over: unknown): unknown {
  if (over === undefined || over === null) return base;
  if (!isPlainObject(base) || !isPlainObject(over)) return over;
  const entries = new Map<string, unknown>(Object.entries(base));
  for (const [key, value] of Object.entries(over)) entries.set(key, mergeConfigs(entries.get(key), value));
  return Object.fromEntries(entries);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
