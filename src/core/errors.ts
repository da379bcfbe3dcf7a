/**
 * @file Errors that a user or another process can meet. Tests and other processes compare `code`, never the text.
 * Exit codes are documented in docs/exit-codes.md, which is generated from {@link EXIT_CODES}.
 */

/** Process exit codes. 0 is success; 1 is a bug in deepdefense itself. */
export const EXIT_CODES = {
  OK: 0,
  INTERNAL: 1,
  USAGE: 2,
  CONFIG: 3,
  DATA: 4,
  CHECKPOINT: 5,
  ENGINE: 6,
  NETWORK: 7,
  PROTOCOL: 8,
  DIVERGED: 9,
  STORAGE: 10,
  AUDIT: 11,
  INTERRUPTED: 130,
} as const;

export type ExitName = keyof typeof EXIT_CODES;

/** Stable error codes, each with the exit code of a command that ends with it. */
export const ERROR_CODES = {
  INTERNAL: 'INTERNAL',
  USAGE: 'USAGE',
  CONFIG_FILE_MISSING: 'CONFIG',
  CONFIG_SYNTAX: 'CONFIG',
  CONFIG_UNKNOWN_KEY: 'CONFIG',
  CONFIG_INVALID: 'CONFIG',
  CONFIG_UNKNOWN_LAYER: 'CONFIG',
  CONFIG_LENGTH_MISMATCH: 'CONFIG',
  CONFIG_BATCH_NOT_DIVISIBLE: 'CONFIG',
  CONFIG_TIMEOUT_ORDER: 'CONFIG',
  CERTIFICATE_INVALID: 'CONFIG',
  TOKEN_INVALID: 'CONFIG',
  SWEEP_SPACE_EMPTY: 'CONFIG',
  DATA_MISSING: 'DATA',
  DATA_TRUNCATED: 'DATA',
  DATA_WRONG_SIZE: 'DATA',
  DATA_BAD_LABEL: 'DATA',
  DATA_BAD_MAGIC: 'DATA',
  DATA_CHECKSUM: 'DATA',
  DATA_DOWNLOAD: 'DATA',
  CHECKPOINT_MISSING: 'CHECKPOINT',
  CHECKPOINT_TRUNCATED: 'CHECKPOINT',
  CHECKPOINT_CORRUPT: 'CHECKPOINT',
  CHECKPOINT_OTHER_MODEL: 'CHECKPOINT',
  CHECKPOINT_OTHER_CONFIG: 'CHECKPOINT',
  FORMAT_NEWER: 'CHECKPOINT',
  SWEEP_OTHER: 'CHECKPOINT',
  NAME_TAKEN: 'CHECKPOINT',
  ENGINE_UNAVAILABLE: 'ENGINE',
  ENGINE_UNSUPPORTED_OP: 'ENGINE',
  ENGINE_READ_DURING_CAPTURE: 'ENGINE',
  ENGINE_BAD_INPUT: 'ENGINE',
  ENGINE_FAILED: 'ENGINE',
  PORT_IN_USE: 'NETWORK',
  CONNECT_FAILED: 'NETWORK',
  NATS_UNSUPPORTED: 'NETWORK',
  CLUSTER_FAILED: 'NETWORK',
  WORKERS_LOST: 'NETWORK',
  PROTOCOL_VERSION: 'PROTOCOL',
  PROTOCOL_SCHEMA: 'PROTOCOL',
  PROTOCOL_FINGERPRINT: 'PROTOCOL',
  PROTOCOL_STALE_LEASE: 'PROTOCOL',
  PROTOCOL_BAD_MESSAGE: 'PROTOCOL',
  CLAIM_LOST: 'PROTOCOL',
  PAYLOAD_TOO_LARGE: 'PROTOCOL',
  IDENTITY_REFUSED: 'PROTOCOL',
  LIMIT_EXCEEDED: 'PROTOCOL',
  NON_FINITE_LOSS: 'DIVERGED',
  STORAGE_FAILED: 'STORAGE',
  RUN_IN_USE: 'STORAGE',
  LEADER_LOST: 'STORAGE',
  JOURNAL_FENCED: 'STORAGE',
  INTERRUPTED: 'INTERRUPTED',
} as const satisfies Record<string, ExitName>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** `code` where it is one of ours, else `fallback`: for codes that another process sent. */
export function errorCodeOr(code: string, fallback: ErrorCode): ErrorCode {
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : fallback;
}

/** What a {@link DeepDefenseError} says: each part is one sentence or phrase without a final full stop. */
export interface ErrorParts {
  /** What failed. */
  what: string;
  /** What was expected. */
  expected?: string;
  /** What was found instead; quote values. */
  got?: string;
  /** What the user can do next. */
  todo?: string;
  /** Ids and values a program may want (run, step, worker, path, ...). */
  fields?: Readonly<Record<string, unknown>>;
  cause?: unknown;
}

/** The one error class of the project; `code` says which error it is. */
export class DeepDefenseError extends Error {
  readonly code: ErrorCode;
  readonly parts: ErrorParts;

  constructor(code: ErrorCode, parts: ErrorParts) {
    super(formatParts(parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'DeepDefenseError';
    this.code = code;
    this.parts = parts;
  }

  /** Exit code of a command that ends with this error. */
  get exitCode(): number {
    return EXIT_CODES[ERROR_CODES[this.code]];
  }

  /** JSON form for `--json` and logs. */
  toJSON(): Record<string, unknown> {
    const { what, expected, got, todo, fields } = this.parts;
    return { code: this.code, exitCode: this.exitCode, what, expected, got, todo, ...fields };
  }
}

function formatParts({ what, expected, got, todo }: ErrorParts): string {
  const lines = [what];
  if (expected !== undefined) lines.push(`expected: ${expected}`);
  if (got !== undefined) lines.push(`got: ${got}`);
  if (todo !== undefined) lines.push(`to do: ${todo}`);
  return lines.join('\n  ');
}

/** True for a {@link DeepDefenseError}, also one of another copy of this module. */
export function isDeepDefenseError(error: unknown): error is DeepDefenseError {
  return error instanceof Error && error.name === 'DeepDefenseError' && 'code' in error;
}
