/** @file What every command gets: where to write, and the global options. */
import { DeepDefenseError } from '../core/index.ts';
import type { Login, TlsFiles } from '../security/index.ts';
import type { Logger, Traces } from '../telemetry/index.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  /** One JSON document on stdout, logs on stderr as JSON lines. */
  readonly json: boolean;
  readonly logLevel: LogLevel;
  /** Undefined = json with `--json`, else text. */
  readonly logFormat?: LogFormat | undefined;
  /** Receiver of traces; undefined = none. */
  readonly otlpEndpoint?: string | undefined;
  /** Share of steps that are traced. */
  readonly traceRatio?: number | undefined;
  /** Folder with the certificates of this process; undefined = plain text. */
  readonly certs?: string | undefined;
  /** File with the token of this process, in place of certificates. */
  readonly tokenFile?: string | undefined;
  /** Listen for those with tokens, too. */
  readonly acceptTokens?: boolean | undefined;
  /** Plain text also where other machines can listen. */
  readonly insecure?: boolean | undefined;
}

/** Environment variable in place of `--otlp-endpoint`. */
export const OTLP_VARIABLE = 'DEEPDEFENSE_OTLP_ENDPOINT';
/** Steps are many. */
export const DEFAULT_TRACE_RATIO = 0.01;

/** Environment variable in place of `--log-format`. */
export const LOG_FORMAT_VARIABLE = 'DEEPDEFENSE_LOG_FORMAT';
export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Environment variable in place of `--certs`. */
export const CERTS_VARIABLE = 'DEEPDEFENSE_CERTS';

/** Environment variable in place of `--token-file`. */
export const TOKEN_VARIABLE = 'DEEPDEFENSE_TOKEN_FILE';

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
   * What this process shows to coordinators: its certificates or its token. Worker processes that it starts have the same.
   * @returns undefined where none were given
   * @throws DeepDefenseError CERTIFICATE_INVALID, TOKEN_INVALID; USAGE where both are given
   */
  async login(): Promise<Login | undefined> {
    const { certs, tokenFile } = this.global;
    if (certs !== undefined && tokenFile !== undefined)
      throw new DeepDefenseError('USAGE', {
        what: 'a process shows certificates or a token',
        expected: `--certs or --token-file (${CERTS_VARIABLE} or ${TOKEN_VARIABLE})`,
        got: 'both',
      });
    if (tokenFile === undefined) return this.#tls();
    process.env[TOKEN_VARIABLE] = tokenFile;
    const { loadTokenFile } = await import('../security/index.ts');
    return loadTokenFile(tokenFile);
  }

  async #tls(): Promise<TlsFiles | undefined> {
    const { certs } = this.global;
    if (certs === undefined) return undefined;
    process.env[CERTS_VARIABLE] = certs;
    const { loadTlsFiles } = await import('../security/index.ts');
    return loadTlsFiles(certs);
  }

  /**
   * The certificates of a listener, and whether it takes tokens of its callers.
   * @throws DeepDefenseError CERTIFICATE_INVALID; USAGE for plain text on an address that others can reach, unless that is asked for, and
   * for tokens without certificates; IDENTITY_REFUSED for certificates of another role
   */
  async admission(host: string): Promise<{ readonly tls: TlsFiles | undefined; readonly acceptTokens: boolean }> {
    const { tokenFile, acceptTokens = false, insecure = false } = this.global;
    const tls = await this.#tls();
    const { authorise, checkExposure } = await import('../security/index.ts');
    checkExposure(host, tls, insecure);
    if (tls !== undefined) authorise(tls.identity, ['coordinator'], 'coordinate');
    if (tls === undefined && (acceptTokens || tokenFile !== undefined))
      throw new DeepDefenseError('USAGE', {
        what: 'tokens must not travel in plain text',
        expected: 'a coordinator with certificates (--certs FOLDER); its workers may have tokens',
        got: acceptTokens ? '--accept-tokens without --certs' : '--token-file, which is for workers and operators',
      });
    return { tls, acceptTokens };
  }

  /**
   * Where traces of this process go; close it at the end.
   * @param part e.g. `worker`
   * @throws DeepDefenseError USAGE
   */
  async traces(part: string, logger: Logger): Promise<Traces> {
    const { otlpEndpoint, traceRatio = DEFAULT_TRACE_RATIO } = this.global;
    const endpoint = otlpEndpoint ?? process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
    // Worker processes that this one starts send theirs to the same receiver.
    if (otlpEndpoint !== undefined) process.env[OTLP_VARIABLE] = otlpEndpoint;
    const { openTraces } = await import('../telemetry/index.ts');
    const onProblem = (message: string): void => logger.warn({ reason: message }, 'traces could not be sent');
    return openTraces({ endpoint, stepRatio: traceRatio, service: `deepdefense-${part}`, onProblem });
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
