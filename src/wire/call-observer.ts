/** @file Watches the calls of a gRPC server: how many, how they end, how long they take, how many bytes. Nothing about a call changes. */
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import { type Server, type ServiceDefinition, status, type UntypedServiceImplementation } from '@grpc/grpc-js';

/** All methods must return at once. */
export interface CallObserver {
  started(method: string): void;
  /** @param code name of the gRPC status @param seconds of calls with one answer, else undefined */
  ended(method: string, code: string, seconds: number | undefined): void;
  /** @param bytes of the encoded message */
  message(method: string, direction: 'received' | 'sent', bytes: number): void;
  /** Open connections of the server now. */
  connections(open: number): void;
  /** The certificate that the server shows to new connections, at first and after each rotation. @param notAfterMs its end, in ms since the epoch */
  certificate(notAfterMs: number): void;
}

/** The one private method that this file relies on, as http2-server.ts does. */
interface ServerInternals {
  createHttp2Server?: (...args: unknown[]) => Http2Server;
}

/** Reports connections; call before binding. Without the internals it does nothing. */
export function watchConnections(server: Server, observer: CallObserver | undefined): void {
  const internals = server as unknown as ServerInternals;
  const create = internals.createHttp2Server;
  if (create === undefined || observer === undefined) return;
  let open = 0;
  internals.createHttp2Server = (...args) => {
    const http2Server = create.apply(server, args);
    http2Server.prependListener('session', (session: ServerHttp2Session) => {
      observer.connections(++open);
      session.once('close', () => observer.connections(--open));
    });
    return http2Server;
  };
}

/** The parts of a server call that are used here; of all four kinds. */
interface Call {
  once(event: 'cancelled' | 'finish', listener: () => void): unknown;
  once(event: 'error', listener: (error: { readonly code?: unknown }) => void): unknown;
}
type Callback = (error: { readonly code?: unknown } | null, ...rest: unknown[]) => void;
type Handler = (call: Call, callback: Callback) => void;

/** Definition and handlers of a service, watched; as arguments of `addService`. */
export function observed(
  definition: ServiceDefinition,
  handlers: UntypedServiceImplementation,
  observer: CallObserver | undefined,
): [ServiceDefinition, UntypedServiceImplementation] {
  if (observer === undefined) return [definition, handlers];
  const methods = Object.entries(definition).map(([key, method]) => {
    const name = method.path.slice(method.path.lastIndexOf('/') + 1);
    const watched: typeof method = {
      ...method,
      requestDeserialize: (bytes: Buffer): unknown => {
        observer.message(name, 'received', bytes.length);
        return method.requestDeserialize(bytes);
      },
      responseSerialize: (message: unknown) => {
        const bytes = method.responseSerialize(message);
        observer.message(name, 'sent', bytes.length);
        return bytes;
      },
    };
    const handler = handlers[key] as unknown as Handler;
    return { key, watched, handler: watchedHandler(name, handler, method.responseStream, observer) };
  });
  return [
    Object.fromEntries(methods.map(({ key, watched }) => [key, watched])),
    Object.fromEntries(methods.map(({ key, handler }) => [key, handler])) as unknown as UntypedServiceImplementation,
  ];
}

function watchedHandler(name: string, handler: Handler, isStream: boolean, observer: CallObserver): Handler {
  return (call, callback) => {
    const startMs = performance.now();
    let isOver = false;
    const end = (code: string): void => {
      if (isOver) return;
      isOver = true;
      observer.ended(name, code, isStream ? undefined : (performance.now() - startMs) / 1000);
    };
    observer.started(name);
    call.once('cancelled', () => end('CANCELLED'));
    if (isStream) {
      call.once('error', (error) => end(nameOf(error.code)));
      call.once('finish', () => end('OK'));
      handler(call, callback);
    } else
      handler(call, (error, ...rest) => {
        end(error === null ? 'OK' : nameOf(error.code));
        callback(error, ...rest);
      });
  };
}

function nameOf(code: unknown): string {
  return (typeof code === 'number' ? status[code] : undefined) ?? 'UNKNOWN';
}
