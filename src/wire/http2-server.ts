/**
 * @file What grpc-js (1.14) doesn't let one set on its HTTP/2 server, done where that server is made: a wider receive window, limits of
 * connections, a deadline for their first call, and a look at what goes wrong before a call reaches a handler.
 *
 * The option `grpc-node.flow_control_window` is read by clients only, so a server takes 64 KiB per round trip: 8 MB/s at 10 ms, which
 * would bound the upload of gradients.
 */
import {
  constants,
  type Http2Server,
  type Http2Session,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type Server, status as grpcStatus } from '@grpc/grpc-js';
import type { ClusterLimits } from '../config/index.ts';
import type { ReportSecurityEvent, SecurityEvent } from '../security/index.ts';

const { NGHTTP2_CANCEL } = constants;
/** A caller may go on talking for so long after the last word to it. */
const LAST_WORDS_MS = 2_000;

/** The one private method that this file relies on; the version of grpc-js is pinned and tests watch the effects. */
interface ServerInternals {
  createHttp2Server?: (...args: unknown[]) => Http2Server;
}

export interface Http2Options {
  /** Receive window of every connection and stream, in bytes. */
  readonly windowBytes: number;
  readonly limits: Pick<ClusterLimits, 'connections' | 'connectionsPerPeer' | 'firstCallMs' | 'firstMessageMs'>;
  readonly report: ReportSecurityEvent;
}

/** Call before binding. Without the internals it does nothing. */
export function setUpHttp2(server: Server, options: Http2Options): void {
  const internals = server as unknown as ServerInternals;
  const create = internals.createHttp2Server;
  if (create === undefined) return;
  internals.createHttp2Server = (...args) => {
    const http2Server = create.apply(server, args);
    new ConnectionGuard(options).watch(http2Server);
    return http2Server;
  };
}

interface Connection {
  readonly address: string;
  readonly timer: NodeJS.Timeout;
}

/** Over TLS a session has another socket than the connection: what both know is the port of the peer. */
function keyOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress} ${remotePort}`;
}

class ConnectionGuard {
  readonly #options: Http2Options;
  readonly #connections = new Map<string, Connection>();
  readonly #byAddress = new Map<string, number>();

  constructor(options: Http2Options) {
    this.#options = options;
  }

  watch(server: Http2Server): void {
    server.prependListener('connection', (socket: Socket) => this.#connected(socket));
    server.prependListener('session', (session: ServerHttp2Session) => this.#opened(session));
    server.prependListener('stream', (stream: ServerHttp2Stream) => this.#called(stream));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const reason = socket.authorizationError ?? error.code ?? error.message;
      this.#options.report('tls-handshake', { peer: socket.remoteAddress, reason: String(reason) });
    });
    // With TLS alone: a peer that asks for no protocol, or HTTP/1. Without a listener Node would answer it.
    server.on('unknownProtocol', (socket: Socket) => {
      this.#options.report('unknown-call', { peer: socket.remoteAddress, reason: 'no HTTP/2' });
      socket.destroy();
    });
  }

  #connected(socket: Socket): void {
    const { limits, report } = this.#options;
    const { remoteAddress: address } = socket;
    if (address === undefined) return void socket.destroy(); // It is gone already.
    const key = keyOf(socket);
    const ofPeer = this.#byAddress.get(address) ?? 0;
    if (this.#connections.size >= limits.connections || ofPeer >= limits.connectionsPerPeer) {
      report('connection-limit', { peer: address, connections: this.#connections.size, ofPeer });
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => {
      report('slow-connection', { peer: address, reason: `no call within ${limits.firstCallMs} ms` });
      socket.destroy();
    }, limits.firstCallMs).unref();
    this.#connections.set(key, { address, timer });
    this.#byAddress.set(address, ofPeer + 1);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#connections.delete(key);
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, left);
    });
  }

  #opened(session: ServerHttp2Session): void {
    const { windowBytes, report } = this.#options;
    const peer = session.socket.remoteAddress;
    session.settings({ initialWindowSize: windowBytes });
    session.setLocalWindowSize(windowBytes);
    // Frames that break the protocol; a connection that is merely lost has another code.
    session.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') report('malformed-message', { peer, reason: error.message });
    });
    session.on('frameError', (type: number, code: number) => report('malformed-message', { peer, reason: `frame ${type}, error ${code}` }));
  }

  #called(stream: ServerHttp2Stream): void {
    const { session } = stream;
    if (session !== undefined) clearTimeout(this.#connectionOf(session)?.timer);
    this.#watchOutcome(stream);
  }

  #connectionOf({ socket }: Http2Session): Connection | undefined {
    return this.#connections.get(keyOf(socket as Pick<Socket, 'remoteAddress' | 'remotePort'>));
  }

  /**
   * Reports what grpc-js refuses by itself: it has no hook for that, but says it in headers or trailers. Cuts calls that neither are
   * asked in full nor answered in time, and those whose caller goes on talking when all is said.
   */
  #watchOutcome(stream: ServerHttp2Stream): void {
    const { report, limits } = this.#options;
    const peer = stream.session?.socket.remoteAddress;
    const asking = setTimeout(() => {
      report('slow-connection', { peer, reason: `no message within ${limits.firstMessageMs} ms` });
      stream.close(NGHTTP2_CANCEL);
    }, limits.firstMessageMs).unref();
    let ending: NodeJS.Timeout | undefined;
    const look = (headers: OutgoingHttpHeaders = {}, isLast: boolean): void => {
      clearTimeout(asking);
      const event = eventOf(headers);
      if (event !== undefined) report(event, { peer, reason: String(headers['grpc-message'] ?? 'no gRPC') });
      if (isLast) ending ??= setTimeout(() => stream.close(NGHTTP2_CANCEL), LAST_WORDS_MS).unref();
    };
    const respond = stream.respond.bind(stream);
    const sendTrailers = stream.sendTrailers.bind(stream);
    stream.respond = (headers, options) => {
      look(headers as OutgoingHttpHeaders, options?.endStream === true);
      respond(headers, options);
    };
    stream.sendTrailers = (headers) => {
      look(headers, true);
      sendTrailers(headers);
    };
    stream.once('end', () => clearTimeout(asking));
    stream.once('close', () => {
      clearTimeout(asking);
      clearTimeout(ending);
    });
  }
}

/** What grpc-js has refused with these headers or trailers. */
function eventOf(headers: OutgoingHttpHeaders): SecurityEvent | undefined {
  const details = decodeURI(String(headers['grpc-message'] ?? ''));
  switch (headers['grpc-status']) {
    case grpcStatus.UNIMPLEMENTED:
      return 'unknown-call';
    case grpcStatus.RESOURCE_EXHAUSTED:
      return details.includes('larger than') ? 'oversized-message' : undefined;
    case grpcStatus.INTERNAL:
      return /decompress|grpc-timeout/.test(details) ? 'malformed-message' : undefined;
    default:
      return headers[':status'] === 415 ? 'unknown-call' : undefined;
  }
}
