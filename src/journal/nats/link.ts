/** @file A connection to NATS with JetStream: opened, checked, and asked with patience. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { KV } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { DeepDefenseError } from '../../core/index.ts';
import { isTransient, natsError, noJetStream } from './errors.ts';
import { explainRefusal, natsTlsOf } from './tls.ts';

export interface NatsOptions {
  /** host:port, nats://host:port or, for TLS, tls://host:port, without a login; several servers of one cluster with commas. */
  readonly servers: string;
  /** Path of a credentials file (JWT and seed). Default: none. */
  readonly credentialsFile?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Folder with certificates for TLS, read anew with each connection. Default: no certificate, and the public authorities. */
  readonly certs?: string | undefined;
  /** Copies of what is made new, each on another server. Default 1. */
  readonly replicas?: number | undefined;
  /** How long the server may be away before a call fails with CONNECT_FAILED, in milliseconds. Default 60 000. */
  readonly patienceMs?: number | undefined;
  /** Told once per loss of the connection, and when at first there is none. */
  readonly onLost?: ((reason: string) => void) | undefined;
  /** Told when the server has been away for longer than the patience, also when nothing is asked of it. */
  readonly onGone?: ((error: DeepDefenseError) => void) | undefined;
}

/** Oldest server with all that is used. */
const OLDEST_SERVER = [2, 9, 4] as const;
const OLDEST_WHY = 'consumers that are created by name and pulled from';
const CONNECT_MS = 5_000;
/** One request; what is asked with patience is asked again after it. */
const REQUEST_MS = 5_000;
const RETRY_MS = 250;
/** The server is away for good when it answers none of two pings so far apart. */
const PING_MS = 10_000;

/**
 * Connects and checks the server.
 * @throws DeepDefenseError CONNECT_FAILED after `patienceMs`; NATS_UNSUPPORTED (server too old, JetStream off)
 */
export async function openNatsLink(options: NatsOptions): Promise<NatsLink> {
  const { servers, patienceMs = 60_000 } = options;
  const [{ connect, credsAuthenticator }, { jetstream, jetstreamManager }, { Kvm }] = await Promise.all([
    import('@nats-io/transport-node'),
    import('@nats-io/jetstream'),
    import('@nats-io/kv'),
  ]);
  const { credentialsFile, user, password } = options;
  const tls = await natsTlsOf(options);
  let isTold = false;
  const connection = await patiently(
    async () =>
      connect({
        servers: servers.split(',').map((each) => each.trim()),
        name: `deepdefense ${hostname()} ${process.pid}`,
        timeout: CONNECT_MS,
        maxReconnectAttempts: -1,
        reconnectTimeWait: RETRY_MS,
        reconnectJitter: RETRY_MS,
        pingInterval: PING_MS,
        ...(user === undefined ? {} : { user, pass: password ?? '' }),
        ...(tls === undefined ? {} : { tls: tls.files, ...(tls.role !== undefined && { inboxPrefix: `_INBOX_${tls.role}` }) }),
        ...(credentialsFile === undefined ? {} : { authenticator: credsAuthenticator(await readFile(credentialsFile)) }),
      }),
    {
      what: "can't connect to NATS",
      servers,
      patienceMs,
      onTransient: async (error) => {
        if (!isTold) options.onLost?.(`no connection yet (${error instanceof Error ? error.message : String(error)})`);
        isTold = true;
        // The client doesn't hear why a server ends a connection whose certificate it refuses.
        if (tls !== undefined) await explainRefusal(servers, tls.files);
      },
    },
  );
  try {
    checkServer(connection, servers);
    const js = jetstream(connection, { timeout: REQUEST_MS });
    const jsm = await patiently(() => jetstreamManager(connection, { timeout: REQUEST_MS }), {
      what: "can't use JetStream",
      servers,
      patienceMs,
    });
    const kvm = new Kvm(js);
    return new NatsLink(options, connection, js, jsm, (bucket) => kvm.open(bucket));
  } catch (error) {
    await connection.close();
    throw natsError("can't use JetStream", servers, error);
  }
}

function checkServer(connection: NatsConnection, servers: string): void {
  const version = connection.info?.version ?? '';
  const parts = version.split(/[.-]/).slice(0, 3).map(Number);
  const difference = OLDEST_SERVER.map((oldest, i) => (parts[i] ?? 0) - oldest).find((each) => each !== 0) ?? 0;
  if (difference < 0 || parts.some(Number.isNaN)) {
    throw new DeepDefenseError('NATS_UNSUPPORTED', {
      what: `the NATS server at ${servers} is too old for ${OLDEST_WHY}`,
      expected: `nats-server ${OLDEST_SERVER.join('.')} or later`,
      got: `version "${version}"`,
      todo: 'update nats-server',
      fields: { version },
    });
  }
  if (connection.info?.jetstream !== true) throw noJetStream(servers);
}

/** See the file's header. */
export class NatsLink {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** Opens a bucket that is there. */
  readonly bucket: (name: string) => Promise<KV>;
  readonly servers: string;
  /** Milliseconds. */
  readonly patienceMs: number;
  /** Of new streams. */
  readonly replicas: number;
  /** When the connection was lost, by performance.now(); undefined while it holds. */
  #downSinceMs: number | undefined;
  #closed = false;
  /** Runs while the connection is lost. */
  #patience: NodeJS.Timeout | undefined;
  readonly #onReconnect = new Set<() => void>();

  constructor(
    { servers, patienceMs = 60_000, replicas = 1, onLost, onGone }: NatsOptions,
    connection: NatsConnection,
    js: JetStreamClient,
    jsm: JetStreamManager,
    bucket: (name: string) => Promise<KV>,
  ) {
    this.servers = servers;
    this.patienceMs = patienceMs;
    this.replicas = replicas;
    this.connection = connection;
    this.js = js;
    this.jsm = jsm;
    this.bucket = bucket;
    void this.#follow(onLost, onGone);
  }

  /** Bytes of a message that the server takes, without headers. */
  get mostBytes(): number {
    // Headers of ours are below 1 KiB.
    return (this.connection.info?.max_payload ?? 1_048_576) - 1024;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get isConnected(): boolean {
    return this.#downSinceMs === undefined && !this.#closed;
  }

  /** Calls `listener` after each reconnection; returns what ends that. */
  onReconnect(listener: () => void): () => void {
    this.#onReconnect.add(listener);
    return () => this.#onReconnect.delete(listener);
  }

  /**
   * Runs `action`, again while it fails for want of a connection. It may have had its effect although it failed.
   * @param what for the message, e.g. `can't publish task "a"`
   * @throws DeepDefenseError CONNECT_FAILED after the patience; what `action` throws besides
   */
  ask<T>(what: string, action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { servers, patienceMs } = this;
    return patiently(() => this.attempt(action), { what, servers, patienceMs, isOver: () => this.#closed || signal?.aborted === true });
  }

  /**
   * Runs `action` once. What was asked of a server that was killed, or while there was none, is never answered; the client would wait
   * for its time limit.
   * @throws DeepDefenseError CONNECT_FAILED when there is a new connection before the end; what `action` throws
   */
  attempt<T>(action: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const stopListening = this.onReconnect(() => reject(this.#interrupted()));
      action().then(resolve, reject).finally(stopListening);
    });
  }

  #interrupted(): DeepDefenseError {
    return new DeepDefenseError('CONNECT_FAILED', {
      what: 'the connection to NATS was lost before an answer came',
      got: `a new connection to ${this.servers}`,
      fields: { address: this.servers },
    });
  }

  /** @throws DeepDefenseError CONNECT_FAILED when the connection has been down for longer than the patience */
  checkPatience(): void {
    if (this.#downSinceMs !== undefined && performance.now() - this.#downSinceMs > this.patienceMs) throw this.#gone();
  }

  #gone(): DeepDefenseError {
    return new DeepDefenseError('CONNECT_FAILED', {
      what: 'the connection to NATS is lost',
      expected: `a connection within ${this.patienceMs} ms`,
      got: `none to ${this.servers}`,
      todo: 'check that the NATS server runs',
    });
  }

  /** Sends what is buffered, if the server is there, and closes. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#patience);
    if (this.#downSinceMs === undefined) await this.connection.flush().catch(() => {});
    await this.connection.close();
  }

  async #follow(onLost: NatsOptions['onLost'], onGone: NatsOptions['onGone']): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === 'disconnect') {
        if (this.#downSinceMs === undefined && !this.#closed) onLost?.(`connection to ${status.server} lost`);
        this.#downSinceMs ??= performance.now();
        if (!this.#closed) this.#patience ??= setTimeout(() => onGone?.(this.#gone()), this.patienceMs);
      } else if (status.type === 'reconnect') {
        this.#downSinceMs = undefined;
        clearTimeout(this.#patience);
        this.#patience = undefined;
        for (const listener of this.#onReconnect) listener();
      }
    }
  }
}

interface Patience {
  readonly what: string;
  readonly servers: string;
  readonly patienceMs: number;
  readonly isOver?: () => boolean;
  /** After each failure for want of a connection; what it throws ends the patience. */
  readonly onTransient?: (error: unknown) => Promise<void>;
}

async function patiently<T>(action: () => Promise<T>, { what, servers, patienceMs, isOver, onTransient }: Patience): Promise<T> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (!isTransient(error) || isOver?.() === true) throw natsError(what, servers, error);
      await onTransient?.(error);
      if (performance.now() > untilMs) throw natsError(what, servers, error);
      await sleep(RETRY_MS * (1 + Math.random()));
    }
  }
}
