/** @file What every command gets: where to write, and the global options. */
import type { TlsFiles } from '../security/index.ts';
import type { Logger } from '../telemetry/index.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  /** One JSON document on stdout, logs on stderr as JSON lines. */
  readonly json: boolean;
  readonly logLevel: LogLevel;
  /** Undefined = json with `--json`, else text. */
  readonly logFormat?: LogFormat | undefined;
  /** Folder with the certificates of this process; undefined = plain text. */
  readonly certs?: string | undefined;
  /** Plain text also where other machines can listen. */
  readonly insecure?: boolean | undefined;
}

/** Environment variable in place of `--log-format`. */
export const LOG_FORMAT_VARIABLE = 'DEEPDEFENSE_LOG_FORMAT';
export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Environment variable in place of `--certs`. */
export const CERTS_VARIABLE = 'DEEPDEFENSE_CERTS';

export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes text somewhere; the process's streams, or a buffer in tests. */
export type Write = (text: string) => void;

/** The surroundings of one command. */
export class CommandContext {
  readonly global: GlobalOptions;
  readonly #stdout: Write;
  readonly #stderr: Write;

  constructor(global: GlobalOptions, streams: { stdout: Write; stderr: Write }) {
    this.global = global;
    this.#stdout = streams.stdout;
    this.#stderr = streams.stderr;
    // Worker processes that this one starts log in the same way.
    if (global.logFormat !== undefined) process.env[LOG_FORMAT_VARIABLE] = global.logFormat;
  }

  /** True when logs and notices are JSON lines. */
  get logsJson(): boolean {
    const { json, logFormat } = this.global;
    return logFormat === undefined ? json : logFormat === 'json';
  }

  /** The command's result: `document` with `--json`, else `text`. Call it once, at the end. */
  result(document: unknown, text: string): void {
    this.#stdout(this.global.json ? `${JSON.stringify(document, undefined, 2)}\n` : ensureNewline(text));
  }

  /** A line while a command works, on stderr; a JSON line where the log has those. Nothing with `--log-level silent`. */
  notice(text: string): void {
    if (this.global.logLevel === 'silent') return;
    const line = { level: 'info', time: new Date().toISOString(), name: 'deepdefense', msg: text };
    this.#stderr(ensureNewline(this.logsJson ? JSON.stringify(line) : text));
  }

  /**
   * The certificates of this process; worker processes that it starts have the same ones.
   * @returns undefined where none were given
   * @throws DeepDefenseError CERTIFICATE_INVALID
   */
  async tls(): Promise<TlsFiles | undefined> {
    const { certs } = this.global;
    if (certs === undefined) return undefined;
    process.env[CERTS_VARIABLE] = certs;
    const { loadTlsFiles } = await import('../security/index.ts');
    return loadTlsFiles(certs);
  }

  /**
   * The certificates of a listener.
   * @throws DeepDefenseError CERTIFICATE_INVALID; USAGE for plain text on an address that others can reach, unless that is asked for;
   * IDENTITY_REFUSED for certificates of another role
   */
  async listenerTls(host: string): Promise<TlsFiles | undefined> {
    const tls = await this.tls();
    const { authorise, checkExposure } = await import('../security/index.ts');
    checkExposure(host, tls, this.global.insecure === true);
    if (tls !== undefined) authorise(tls.identity, ['coordinator'], 'coordinate');
    return tls;
  }

  /** A logger that writes to stderr. @param name of the part that speaks */
  async logger(name?: string): Promise<Logger> {
    const { createLogger } = await import('../telemetry/index.ts');
    return createLogger({ level: this.global.logLevel, json: this.logsJson, ...(name !== undefined && { name }) });
  }
}

function ensureNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}
