/** @file Logs: pino's JSON lines, or the same records as one readable line each. They go to stderr; stdout belongs to results. */
import colors from 'picocolors';
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

type Colors = ReturnType<typeof colors.createColors>;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/**
 * What a line is about. The names are the same in the lines of all processes; docs/observability.md says what each means.
 * A field of the line itself wins.
 */
export interface LogContext {
  readonly run?: string | undefined;
  readonly sweep?: string | undefined;
  readonly trial?: string | undefined;
  readonly rung?: number | undefined;
  readonly step?: number | undefined;
  readonly worker?: string | undefined;
}

const CONTEXT = Symbol('context of log lines');
type InContext = Logger & { [CONTEXT]?: () => LogContext };

/** A logger whose lines say, beside what `logger` says, what `context` returns when they are written. */
export function withContext(logger: Logger, context: () => LogContext): Logger {
  const outer = (logger as InContext)[CONTEXT];
  const child = logger.child({}) as InContext;
  child[CONTEXT] = outer === undefined ? context : () => ({ ...outer(), ...context() });
  return child;
}

/** Fields that hold secrets, should a line ever carry them. */
const SECRETS = ['password', 'pass', 'token', 'credentials', 'authorization', 'privateKey'];

export interface LoggerOptions {
  /** Least severe level that is written; default `info`. */
  readonly level?: LogLevel;
  /** JSON lines (true) or readable lines (false, default). */
  readonly json?: boolean;
  /** Where lines go; default stderr. Pass the `log` stream of a progress display to keep its bar intact. */
  readonly destination?: DestinationStream;
  /** Colours of readable lines; default: when stderr is a terminal. */
  readonly color?: boolean;
  /** Part of the process that speaks, e.g. `coordinator`. */
  readonly name?: string;
}

/** A logger. Pass an error as `{ err }`; in readable form its message follows, and its stack below level `info`. */
export function createLogger({ level = 'info', json = false, destination = process.stderr, color, name }: LoggerOptions = {}): Logger {
  const options = {
    level,
    base: name === undefined ? {} : { name },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: SECRETS.flatMap((field) => [field, `*.${field}`]),
    mixin: (_merged: object, _level: number, self: unknown) => ({ ...(self as InContext)[CONTEXT]?.() }),
  };
  if (json) return pino({ ...options, formatters: { level: (label: string) => ({ level: label }) } }, destination);
  const paint = colors.createColors(color ?? (process.stderr.isTTY ? process.env.NO_COLOR === undefined : false));
  return pino(options, { write: (line: string) => destination.write(`${readable(line, paint)}\n`) });
}

const LEVEL_NAMES: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };

/** `12:34:56 warn  coordinator: worker is silent worker="a-17"`. */
function readable(line: string, paint: Colors): string {
  const { level, time, name, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown> & { level: number; time: string };
  const label = LEVEL_NAMES[level] ?? String(level);
  const colored = level >= 50 ? paint.red : level >= 40 ? paint.yellow : level >= 30 ? paint.green : paint.gray;
  const parts = [paint.gray(time.slice(11, 19)), colored(label.padEnd(5))];
  const speaker = typeof name === 'string' ? `${name}: ` : '';
  parts.push(`${speaker}${typeof msg === 'string' ? msg : ''}`);
  for (const [key, value] of Object.entries(fields)) parts.push(paint.gray(`${key}=${JSON.stringify(value)}`));
  const text = parts.join(' ');
  return err === undefined ? text : `${text}\n${errorText(err, level < 30)}`;
}

function errorText(err: unknown, withStack: boolean): string {
  const { message, code, stack } = (typeof err === 'object' && err !== null ? err : { message: String(err) }) as Record<string, unknown>;
  const head = `${typeof code === 'string' ? `[${code}] ` : ''}${String(message)}`;
  const text = withStack && typeof stack === 'string' ? `${head}\n${stack}` : head;
  return text.replace(/^/gm, '    ');
}
