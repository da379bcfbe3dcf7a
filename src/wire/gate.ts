/** @file Who may call a server, how often, and what for. Each call passes here before its handler sees it. */
import type { Metadata, ServerWritableStream } from '@grpc/grpc-js';
import { status as grpcStatus } from '@grpc/grpc-js';
import { type ClusterLimits, limitsOf } from '../config/index.ts';
import { DeepDefenseError, isDeepDefenseError, type Role } from '../core/index.ts';
import {
  authorise,
  checkToken,
  type Identity,
  identityOf,
  type ReportSecurityEvent,
  type Scope,
  type TlsFiles,
} from '../security/index.ts';
import type { CallObserver } from './call-observer.ts';
import { RateLimit } from './rate-limit.ts';

/** Of a server, besides its handlers. */
export interface ServerOptions {
  /** Certificates; undefined = plain text, where anybody may call. */
  readonly tls?: TlsFiles | undefined;
  /** Let in who has a token of the authority in place of a certificate. Default false: without a certificate nobody gets past TLS. */
  readonly acceptTokens?: boolean | undefined;
  /** What is served: certificates and tokens for another run or sweep are refused. */
  readonly place?: Scope | undefined;
  /** Default: those of the config's schema. */
  readonly limits?: ClusterLimits | undefined;
  readonly report?: ReportSecurityEvent | undefined;
  /** Watches connections and calls. */
  readonly observer?: CallObserver | undefined;
}

/** Any call as a server sees it. */
export interface IncomingCall extends Pick<ServerWritableStream<unknown, unknown>, 'getAuthContext' | 'getPeer' | 'cancelled'> {
  readonly metadata: Metadata;
  once(event: 'cancelled', listener: () => void): unknown;
}

/** What a call is for. */
export interface Rights {
  readonly roles: readonly Role[];
  /** Completes "entitle its owner to". */
  readonly what: string;
}

/** Who has come in. */
export interface Caller {
  /** Undefined over plain text. */
  readonly identity: Identity | undefined;
  /** End of its token, in ms since the epoch; a certificate's end isn't watched while a connection lasts. */
  readonly notAfterMs: number;
}

/** What a caller without a valid certificate or token hears, whatever the reason is; the server's log has it. */
const UNKNOWN_CALLER = 'no valid certificate or token';
const BEARER = /^Bearer (\S+)$/i;
/** Connections whose rate is remembered; above it those that have been quiet are forgotten. */
const KNOWN_CONNECTIONS = 10_000;

export class Gate {
  readonly #options: ServerOptions;
  readonly limits: ClusterLimits;
  readonly report: ReportSecurityEvent;
  readonly #calls = new Map<string, number>();
  readonly #rates = new Map<string, RateLimit>();
  #open = 0;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.limits = options.limits ?? limitsOf({});
    this.report = options.report ?? (() => {});
  }

  /**
   * Lets a call in, or not. It counts as open until it emits 'cancelled', which grpc-js does at the end of each.
   * @throws DeepDefenseError IDENTITY_REFUSED, LIMIT_EXCEEDED; see {@link statusFor}
   */
  async enter(call: IncomingCall, { roles, what }: Rights): Promise<Caller> {
    const address = call.getPeer().replace(/:\d+$/, '');
    this.#countCall(call, address);
    const caller = await this.#identify(call, address);
    if (this.#options.tls !== undefined) {
      try {
        authorise(caller.identity, roles, what, this.#options.place);
      } catch (error) {
        if (isDeepDefenseError(error))
          this.report('identity-refused', { peer: address, identity: nameOf(caller.identity), reason: error.parts.what });
        throw error;
      }
    }
    this.#countName(call, caller.identity);
    return caller;
  }

  /** A call over a connection that makes too many. @throws DeepDefenseError LIMIT_EXCEEDED */
  countMessage(call: IncomingCall): void {
    const connection = call.getPeer();
    let rate = this.#rates.get(connection);
    if (rate === undefined) {
      // Whoever has been quiet may start anew.
      if (this.#rates.size >= KNOWN_CONNECTIONS) this.#rates.clear();
      rate = new RateLimit(this.limits.messagesPerSecond);
      this.#rates.set(connection, rate);
    }
    if (rate.take()) return;
    this.report('message-rate', { peer: connection });
    throw tooMuch('messagesPerSecond', this.limits.messagesPerSecond);
  }

  #countCall(call: IncomingCall, address: string): void {
    if (this.#open >= this.limits.calls) {
      this.report('call-limit', { peer: address, calls: this.#open });
      throw tooMuch('calls', this.limits.calls);
    }
    if (call.cancelled) return;
    this.#open += 1;
    call.once('cancelled', () => {
      this.#open -= 1;
    });
    // With certificates names count, which come later.
    if (this.#options.tls === undefined) this.#countOf(call, address);
  }

  #countName(call: IncomingCall, identity: Identity | undefined): void {
    if (identity !== undefined) this.#countOf(call, `${identity.role} ${identity.name}`);
  }

  #countOf(call: IncomingCall, who: string): void {
    const calls = this.#calls.get(who) ?? 0;
    if (calls >= this.limits.callsPerPeer) {
      this.report('call-limit', { peer: who, calls });
      throw tooMuch('callsPerPeer', this.limits.callsPerPeer);
    }
    if (call.cancelled) return;
    this.#calls.set(who, calls + 1);
    call.once('cancelled', () => {
      const left = (this.#calls.get(who) ?? 1) - 1;
      if (left === 0) this.#calls.delete(who);
      else this.#calls.set(who, left);
    });
  }

  async #identify(call: IncomingCall, address: string): Promise<Caller> {
    const { tls, acceptTokens = false } = this.#options;
    const [header] = call.metadata.get('authorization');
    const certificate = call.getAuthContext().sslPeerCertificate;
    if (certificate !== undefined) return { identity: identityOf(certificate.subjectaltname), notAfterMs: Number.POSITIVE_INFINITY };
    if (header === undefined) {
      if (tls === undefined) return { identity: undefined, notAfterMs: Number.POSITIVE_INFINITY };
      this.report('identity-refused', { peer: address, reason: 'neither certificate nor token' });
      throw unknownCaller();
    }
    try {
      // Whoever listens in plain text could take it.
      if (tls === undefined) throw refused('it came over plain text');
      if (!acceptTokens) throw refused('this server takes certificates alone');
      const [, token] = BEARER.exec(String(header)) ?? [];
      if (token === undefined) throw refused('no bearer token');
      return await checkToken(token, tls.authority);
    } catch (error) {
      if (!isDeepDefenseError(error)) throw error;
      this.report('token-refused', { peer: address, reason: error.parts.got });
      throw unknownCaller();
    }
  }
}

/** Status and text of a refusal for the caller. */
export function statusFor(error: unknown): { readonly code: number; readonly details: string } {
  if (!isDeepDefenseError(error)) return { code: grpcStatus.INTERNAL, details: error instanceof Error ? error.message : String(error) };
  if (error.parts.what === UNKNOWN_CALLER) return { code: grpcStatus.UNAUTHENTICATED, details: UNKNOWN_CALLER };
  if (error.code === 'IDENTITY_REFUSED') return { code: grpcStatus.PERMISSION_DENIED, details: error.message };
  if (error.code === 'LIMIT_EXCEEDED') return { code: grpcStatus.RESOURCE_EXHAUSTED, details: error.message };
  return { code: error.code === 'USAGE' ? grpcStatus.FAILED_PRECONDITION : grpcStatus.INTERNAL, details: error.message };
}

/** For messages, a name and no more. */
export function nameOf(identity: Identity | undefined): string {
  return identity === undefined ? 'nobody' : `${identity.role} ${identity.name}`;
}

export function tooMuch(limit: keyof ClusterLimits, value: number): DeepDefenseError {
  return new DeepDefenseError('LIMIT_EXCEEDED', {
    what: `too much for cluster.limits.${limit}`,
    expected: `at most ${value}`,
    todo: 'ask for less, or raise the limit where the coordinator is configured',
    fields: { limit },
  });
}

/** Of whoever shows nothing that holds, or nothing any more. */
export function unknownCaller(): DeepDefenseError {
  return new DeepDefenseError('IDENTITY_REFUSED', { what: UNKNOWN_CALLER });
}

function refused(got: string): DeepDefenseError {
  return new DeepDefenseError('IDENTITY_REFUSED', { what: 'a token was refused', got });
}
