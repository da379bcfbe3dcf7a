/** @file The gRPC service as both sides use it: options, a typed client, a typed server, binding and closing. */
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  logVerbosity,
  Server,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  setLogVerbosity,
  status,
} from '@grpc/grpc-js';
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import type { TlsFiles } from '../security/index.ts';
import { type CallObserver, observed, watchConnections } from './call-observer.ts';
import { authorisePeer, channelOptions, clientCredentials, peerOf, serverCredentials } from './credentials.ts';
import { loadProto } from './load-proto.ts';
import type { CoordinatorMessage, DatasetChunk, DatasetRequest, WorkerMessage } from './messages.ts';
import { widenReceiveWindow } from './receive-window.ts';

export type { ServiceError };
export type GrpcServer = Server;

// grpc-js would print its own lines on stderr beside our errors, which say the same; GRPC_VERBOSITY brings them back.
if (process.env.GRPC_VERBOSITY === undefined && process.env.GRPC_NODE_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);

/** gRPC status codes by name. */
export const grpcStatus = status;

/** Largest message that either side takes, in bytes; tensors travel in chunks of 1 MiB. */
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

/** Options of the coordinator's server. */
export const SERVER_OPTIONS: ChannelOptions = {
  ...KEEPALIVE,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
};

/** The coordinator's end of a worker's stream. */
export type WorkerStream = ServerDuplexStream<WorkerMessage, CoordinatorMessage>;
/** The worker's end of its stream. */
export type CoordinatorStream = ClientDuplexStream<WorkerMessage, CoordinatorMessage>;

/** What the coordinator implements. */
export interface CoordinatorHandlers {
  work: handleBidiStreamingCall<WorkerMessage, CoordinatorMessage>;
  fetchDataset: handleServerStreamingCall<DatasetRequest, DatasetChunk>;
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

/** A client of the coordinator at `address` (host:port). Without certificates in plain text: for one machine or a network that is trusted. */
export function createCoordinatorClient(address: string, tls?: TlsFiles): CoordinatorClient {
  const { Work, FetchDataset } = loadProto();
  const client = new Client(address, clientCredentials(tls), { ...CHANNEL_OPTIONS, ...channelOptions(tls) });
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
 * A server with the handlers; listen with {@link bindServer}, and the same certificates.
 * @param tls with them only workers are served
 */
export function createCoordinatorServer(handlers: CoordinatorHandlers, tls?: TlsFiles, observer?: CallObserver): GrpcServer {
  const { Work, FetchDataset } = loadProto();
  const server = new Server(SERVER_OPTIONS);
  widenReceiveWindow(server, WINDOW_BYTES);
  watchConnections(server, observer);
  const definition = {
    // A message that was serialised before (parameters, once for all workers) passes as it is.
    work: { ...Work, responseSerialize: (message: object) => (Buffer.isBuffer(message) ? message : Work.responseSerialize(message)) },
    fetchDataset: FetchDataset,
  } as unknown as ServiceDefinition;
  const implementation = {
    work: guarded<WorkerStream>(handlers.work, tls, 'work for a run'),
    fetchDataset: guarded<ServerWritableStream<DatasetRequest, DatasetChunk>>(handlers.fetchDataset, tls, 'fetch the dataset'),
  };
  server.addService(...observed(definition, implementation, observer));
  return server;
}

/** The handler, for those who may call it. */
function guarded<Call extends ServerDuplexStream<WorkerMessage, CoordinatorMessage> | ServerWritableStream<DatasetRequest, DatasetChunk>>(
  handler: (call: Call) => void,
  tls: TlsFiles | undefined,
  what: string,
): (call: Call) => void {
  return (call) => {
    try {
      authorisePeer(tls, peerOf(call), ['worker'], what);
    } catch (error) {
      if (!isDeepDefenseError(error)) throw error;
      call.emit('error', { code: grpcStatus.PERMISSION_DENIED, details: error.message });
      return;
    }
    handler(call);
  };
}

/**
 * Listens on `host`:`port` (0 = any free port).
 * @returns the port.
 * @throws DeepDefenseError PORT_IN_USE when another process has it; CONNECT_FAILED when the address can't be listened on.
 */
export function bindServer(server: GrpcServer, host: string, port: number, tls?: TlsFiles): Promise<number> {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, serverCredentials(tls), (cause, bound) => {
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
