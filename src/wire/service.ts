/** @file The gRPC service as both sides use it: options, a typed client, a typed server, binding and closing. */
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  logVerbosity,
  Server,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  setLogVerbosity,
  status,
} from '@grpc/grpc-js';
import { DeepDefenseError } from '../core/index.ts';
import type { Login } from '../security/index.ts';
import { observed, watchConnections } from './call-observer.ts';
import { channelOptions, clientCredentials, serverCredentials } from './credentials.ts';
import { limitedDecoder } from './decode.ts';
import { type Caller, Gate, type Rights, type ServerOptions, statusFor, unknownCaller } from './gate.ts';
import { setUpHttp2 } from './http2-server.ts';
import { loadProto } from './load-proto.ts';
import type { CoordinatorMessage, DatasetChunk, DatasetRequest, WorkerMessage } from './messages.ts';

export type { ServiceError };
export type GrpcServer = Server;

// grpc-js would print its own lines on stderr beside our errors, which say the same; GRPC_VERBOSITY brings them back.
if (process.env.GRPC_VERBOSITY === undefined && process.env.GRPC_NODE_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);

/** gRPC status codes by name. */
export const grpcStatus = status;

/** Largest message that a client takes, in bytes; tensors travel in chunks of 1 MiB. Servers have limits of their own. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** HTTP/2 receive window in bytes: with the protocol's 64 KiB a stream carries 64 KiB per round trip, whatever the network. */
const WINDOW_BYTES = 8 * 1024 * 1024;

/** A peer that is frozen or cut off is noticed after at most the sum of both; neither side may block its event loop for that long. */
const KEEPALIVE = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 10_000,
} as const;

/** Options of a worker's channel. */
export const CHANNEL_OPTIONS: ChannelOptions = {
  ...KEEPALIVE,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc-node.flow_control_window': WINDOW_BYTES,
  // The worker reconnects by itself with jitter; the channel's own back-off must not grow beyond it.
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
};

/** A server that keeps the limits of its gate. @param mostBytes of the largest message of all its methods */
export function createServer({ limits, report }: Gate, mostBytes: number): GrpcServer {
  const server = new Server({
    ...KEEPALIVE,
    'grpc.max_receive_message_length': mostBytes,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': limits.callsPerPeer,
  });
  setUpHttp2(server, { windowBytes: WINDOW_BYTES, limits, report });
  return server;
}

/** The coordinator's end of a worker's stream. */
export type WorkerStream = ServerDuplexStream<WorkerMessage, CoordinatorMessage>;
/** The worker's end of its stream. */
export type CoordinatorStream = ClientDuplexStream<WorkerMessage, CoordinatorMessage>;

/** A call for the dataset. */
export type DatasetCall = ServerWritableStream<DatasetRequest, DatasetChunk>;

/** What the coordinator implements; the caller may be left out where nothing depends on it. */
export interface CoordinatorHandlers {
  work(stream: WorkerStream, caller: Caller): void;
  fetchDataset(call: DatasetCall, caller: Caller): void;
}

/** What a worker calls. */
export interface CoordinatorClient {
  readonly address: string;
  /** Opens the stream. Failure comes as its 'error' event with a gRPC status; add a listener at once. */
  work(): CoordinatorStream;
  fetchDataset(request: DatasetRequest): ClientReadableStream<DatasetChunk>;
  /**
   * Resolves when connected.
   * @throws DeepDefenseError CONNECT_FAILED when that takes longer than `timeoutMs`.
   */
  waitUntilConnected(timeoutMs: number): Promise<void>;
  close(): void;
}

/** A client of the coordinator at `address` (host:port). Without a login in plain text: for one machine or a network that is trusted. */
export function createCoordinatorClient(address: string, login?: Login): CoordinatorClient {
  const { Work, FetchDataset } = loadProto();
  const client = new Client(address, clientCredentials(login), { ...CHANNEL_OPTIONS, ...channelOptions(login) });
  return {
    address,
    work: () => client.makeBidiStreamRequest<WorkerMessage, CoordinatorMessage>(Work.path, Work.requestSerialize, Work.responseDeserialize),
    fetchDataset: (request) =>
      client.makeServerStreamRequest<DatasetRequest, DatasetChunk>(
        FetchDataset.path,
        FetchDataset.requestSerialize,
        (bytes) => FetchDataset.responseDeserialize(bytes) as DatasetChunk,
        request,
      ),
    waitUntilConnected: (timeoutMs) =>
      new Promise((resolve, reject) => {
        client.waitForReady(Date.now() + timeoutMs, (cause) => {
          if (cause === undefined) resolve();
          else {
            reject(
              new DeepDefenseError('CONNECT_FAILED', {
                what: `no connection to a coordinator at "${address}"`,
                expected: `an answer within ${timeoutMs} ms`,
                got: cause.message,
                todo: 'check the address and that the coordinator runs',
                fields: { address },
                cause,
              }),
            );
          }
        });
      }),
    close: () => client.close(),
  };
}

/**
 * A server with the handlers; listen with {@link bindServer}, and the same options.
 * @param options with certificates only workers are served
 */
export function createCoordinatorServer(handlers: CoordinatorHandlers, options: ServerOptions = {}): GrpcServer {
  const { Work, FetchDataset } = loadProto();
  const gate = new Gate(options);
  const { limits, report } = gate;
  const server = createServer(gate, Math.max(limits.messageBytes, limits.requestBytes));
  watchConnections(server, options.observer);
  const decoder = (method: typeof Work, name: string, mostBytes: number) =>
    limitedDecoder(method.requestDeserialize, { mostBytes, method: name, report });
  const definition = {
    work: {
      ...Work,
      requestDeserialize: decoder(Work, 'Work', limits.messageBytes),
      // A message that was serialised before (parameters, once for all workers) passes as it is.
      responseSerialize: (message: object) => (Buffer.isBuffer(message) ? message : Work.responseSerialize(message)),
    },
    fetchDataset: { ...FetchDataset, requestDeserialize: decoder(FetchDataset, 'FetchDataset', limits.requestBytes) },
  } as unknown as ServiceDefinition;
  const implementation = {
    work: guarded<WorkerStream>(handlers.work, gate, { roles: ['worker'], what: 'work for a run' }),
    fetchDataset: guarded<DatasetCall>(handlers.fetchDataset, gate, { roles: ['worker'], what: 'fetch the dataset' }),
  };
  server.addService(...observed(definition, implementation, options.observer));
  return server;
}

/** Node's timers can't wait longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The handler, for those who may call it, and as long as their tokens last. */
function guarded<Call extends WorkerStream | DatasetCall>(
  handler: (call: Call, caller: Caller) => void,
  gate: Gate,
  rights: Rights,
): (call: Call) => void {
  const enter = async (call: Call): Promise<void> => {
    const caller = await gate.enter(call, rights);
    if (call.cancelled) return;
    const leftMs = caller.notAfterMs - Date.now();
    if (leftMs < LONGEST_TIMER_MS) {
      const timer = setTimeout(() => call.emit('error', statusFor(unknownCaller())), leftMs).unref();
      call.once('cancelled', () => clearTimeout(timer));
    }
    handler(call, caller);
  };
  return (call) => void enter(call).catch((error: unknown) => call.emit('error', statusFor(error)));
}

/**
 * Listens on `host`:`port` (0 = any free port).
 * @returns the port.
 * @throws DeepDefenseError PORT_IN_USE when another process has it; CONNECT_FAILED when the address can't be listened on.
 */
export function bindServer(server: GrpcServer, host: string, port: number, options: ServerOptions = {}): Promise<number> {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, serverCredentials(options), (cause, bound) => {
      if (cause === null) return resolve(bound);
      const inUse = cause.message.includes('EADDRINUSE');
      reject(
        new DeepDefenseError(inUse ? 'PORT_IN_USE' : 'CONNECT_FAILED', {
          what: inUse ? `port ${port} on "${host}" is in use` : `can't listen on "${host}" port ${port}`,
          got: cause.message,
          todo: inUse ? 'stop the process that has it, or set cluster.port to another port or to 0' : 'check cluster.host',
          fields: { host, port },
          cause,
        }),
      );
    });
  });
}

/** Takes no new calls, lets the open ones end for `graceMs`, then cuts them (the peer sees CANCELLED or UNAVAILABLE). */
export function closeServer(server: GrpcServer, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** True for an error of a gRPC call; its `code` is one of {@link grpcStatus}. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}
