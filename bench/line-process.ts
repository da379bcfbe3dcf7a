/** @file A child process that answers one JSON object per line with one JSON object per line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface LineProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Why a child gave no answer: it couldn't start, ended early, or answered `{"error": ...}`. */
export class LineProcessError extends Error {
  /** The `error` field of the child's answer, or undefined when it never answered. */
  readonly reply: string | undefined;

  constructor(message: string, reply?: string) {
    super(message);
    this.name = 'LineProcessError';
    this.reply = reply;
  }
}

interface Waiter {
  resolve(reply: Record<string, unknown>): void;
  reject(error: Error): void;
}

/** Requests are answered in order; one request at a time is enough for timing. */
export class LineProcess {
  readonly #child: ChildProcess;
  readonly #waiters: Waiter[] = [];
  readonly #exited: Promise<void>;
  #failure: LineProcessError | undefined;
  #stderr = '';

  constructor({ command, args, env }: LineProcessOptions) {
    const child = spawn(command, [...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    this.#child = child;
    // 'close' comes after the last line was read, so that an answer sent just before the end isn't lost.
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#fail(new LineProcessError(`can't start "${command}": ${error.message}`));
        resolve();
      });
      child.once('close', (code, signal) => {
        const reason = signal === null ? `exit code ${code}` : `signal ${signal}`;
        this.#fail(new LineProcessError(`"${command}" ended with ${reason}${this.#stderr === '' ? '' : `\n${this.#stderr.trimEnd()}`}`));
        resolve();
      });
    });
    child.stdin.on('error', () => {}); // a dead child is reported by 'close'
    child.stderr.on('data', (data: Buffer) => {
      this.#stderr = (this.#stderr + data.toString('utf8')).slice(-4000);
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.#answer(line));
  }

  /** Sends one request and waits for its answer. @throws LineProcessError */
  async request(command: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Record<string, unknown>> {
    if (this.#failure !== undefined) throw this.#failure;
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify({ command, ...fields })}\n`);
    });
  }

  /** A number of an answer. @throws LineProcessError when the field is missing. */
  async requestNumber(command: string, field: string): Promise<number> {
    const reply = await this.request(command);
    const value = reply[field];
    if (typeof value !== 'number') throw new LineProcessError(`answer to "${command}" has no number "${field}": ${JSON.stringify(reply)}`);
    return value;
  }

  /** Asks the child to end and waits; kills it after 5 s. */
  async close(): Promise<void> {
    if (this.#failure === undefined) this.#child.stdin?.end(`${JSON.stringify({ command: 'quit' })}\n`);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.#exited;
    clearTimeout(timer);
  }

  #answer(line: string): void {
    let reply: Record<string, unknown>;
    try {
      reply = JSON.parse(line) as Record<string, unknown>;
    } catch {
      return; // a library's greeting, not an answer
    }
    if (typeof reply.error !== 'string') {
      this.#waiters.shift()?.resolve(reply);
      return;
    }
    const detail = typeof reply.detail === 'string' ? ` (${reply.detail})` : '';
    const failure = new LineProcessError(`${reply.error}${detail}`, reply.error);
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#failure = failure;
    else waiter.reject(failure);
  }

  #fail(error: LineProcessError): void {
    this.#failure ??= error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#failure);
  }
}
