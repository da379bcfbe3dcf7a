/** @file The gRPC service of a sweep as both sides use it: messages, a client with promises, a server. */
import { Client, type handleUnaryCall, Server, type ServiceDefinition, type status } from '@grpc/grpc-js';
import { DeepDefenseError, isDeepDefenseError, type Role } from '../core/index.ts';
import type { Identity, TlsFiles } from '../security/index.ts';
import { type CallObserver, observed, watchConnections } from './call-observer.ts';
import { authorisePeer, channelOptions, clientCredentials, peerOf } from './credentials.ts';
import { loadSweepProto, SWEEP_METHODS } from './load-proto.ts';
import { CHANNEL_OPTIONS, type GrpcServer, grpcStatus, isServiceError, SERVER_OPTIONS } from './service.ts';

/** Messages of proto/deepdefense/v1/sweep.proto; what each field means is said there. */
export interface SweepCalls {
  describe: {
    request: { protocolVersion: number };
    reply: { protocolVersion: number; packageVersion: string; sweepId: string; leaseMs: number };
  };
  claim: { request: { worker: string; waitMs: number }; reply: { kind: string; task: string; payload: string; epoch: number } };
  extend: { request: ClaimReference; reply: ClaimVerdict };
  commit: { request: ClaimReference & { result: string }; reply: ClaimVerdict };
  fail: { request: ClaimReference & { code: string; message: string; lasting: boolean }; reply: ClaimVerdict };
  release: { request: ClaimReference; reply: ClaimVerdict };
  control: { request: { action: string; candidates: number }; reply: ClaimVerdict & { status: string } };
}

export interface ClaimReference {
  task: string;
  epoch: number;
}

/** An empty code says that all is well. */
export interface ClaimVerdict {
  code: string;
  message: string;
}

export type SweepCall = keyof SweepCalls;

/** What a sweep's coordinator implements. */
export type SweepHandlers = {
  readonly [Call in SweepCall]: (
    request: SweepCalls[Call]['request'],
    signal: AbortSignal,
    /** Who calls; undefined over plain text. */
    peer?: Identity,
  ) => Promise<SweepCalls[Call]['reply']>;
};

export interface SweepClient {
  readonly address: string;
  /**
   * One call.
   * @throws DeepDefenseError CONNECT_FAILED when there is no answer in time; USAGE when the address is that of something else.
   */
  call<Call extends SweepCall>(name: Call, request: SweepCalls[Call]['request'], timeoutMs: number): Promise<SweepCalls[Call]['reply']>;
  close(): void;
}

const METHODS = Object.fromEntries(SWEEP_METHODS.map((method) => [method.toLowerCase(), method])) as Record<
  SweepCall,
  (typeof SWEEP_METHODS)[number]
>;

/** A client of the sweep's coordinator at `address` (host:port). Without certificates in plain text: for one machine or a network that is trusted. */
export function createSweepClient(address: string, tls?: TlsFiles): SweepClient {
  const proto = loadSweepProto();
  const client = new Client(address, clientCredentials(tls), { ...CHANNEL_OPTIONS, ...channelOptions(tls) });
  return {
    address,
    call: (name, request, timeoutMs) =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = proto[METHODS[name]];
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          { deadline: Date.now() + timeoutMs },
          (error, reply) => {
            if (error === null) resolve(reply as SweepCalls[typeof name]['reply']);
            else reject(callFailed(address, name, error));
          },
        );
      }),
    close: () => client.close(),
  };
}

/** What a call is for, in messages, and who may make it. */
const WORK = { roles: ['worker'], what: 'work for a sweep' } as const;
const RIGHTS: Readonly<Record<SweepCall, { readonly roles: readonly Role[]; readonly what: string }>> = {
  describe: { roles: ['worker', 'operator'], what: 'look at a sweep' },
  claim: WORK,
  extend: WORK,
  commit: WORK,
  fail: WORK,
  release: WORK,
  control: { roles: ['operator'], what: 'control a sweep' },
};

/** A server with the handlers; listen with `bindServer`, and the same certificates. A handler's error ends the call with it. */
export function createSweepServer(handlers: SweepHandlers, tls?: TlsFiles, observer?: CallObserver): GrpcServer {
  const proto = loadSweepProto();
  const server = new Server(SERVER_OPTIONS);
  watchConnections(server, observer);
  const names = Object.keys(METHODS) as SweepCall[];
  const definition = Object.fromEntries(names.map((name) => [name, proto[METHODS[name]]])) as unknown as ServiceDefinition;
  const implementation = Object.fromEntries(
    names.map((name) => [name, unary(handlers[name] as SweepHandlers['describe'], RIGHTS[name], tls)]),
  );
  server.addService(...observed(definition, implementation, observer));
  return server;
}

function unary(
  handler: SweepHandlers['describe'],
  { roles, what }: (typeof RIGHTS)[SweepCall],
  tls: TlsFiles | undefined,
): handleUnaryCall<SweepCalls['describe']['request'], SweepCalls['describe']['reply']> {
  return (call, callback) => {
    const cancelled = new AbortController();
    call.on('cancelled', () => cancelled.abort());
    const peer = peerOf(call);
    const answer = async () => {
      authorisePeer(tls, peer, roles, what);
      return handler(call.request, cancelled.signal, peer);
    };
    answer().then(
      (reply) => callback(null, reply),
      (error: unknown) => {
        const details = error instanceof Error ? error.message : String(error);
        callback({ code: statusOf(error), details });
      },
    );
  };
}

function statusOf(error: unknown): status {
  if (!isDeepDefenseError(error)) return grpcStatus.INTERNAL;
  if (error.code === 'IDENTITY_REFUSED') return grpcStatus.PERMISSION_DENIED;
  return error.code === 'USAGE' ? grpcStatus.FAILED_PRECONDITION : grpcStatus.INTERNAL;
}

function callFailed(address: string, name: SweepCall, cause: Error): DeepDefenseError {
  if (isServiceError(cause) && cause.code === grpcStatus.UNIMPLEMENTED)
    return new DeepDefenseError('USAGE', {
      what: `"${address}" is not the coordinator of a sweep`,
      expected: 'the address that `deepdefense sweep` prints',
      got: 'a coordinator of a single run, or of another version',
      todo: 'give the address of a run to --coordinator, and that of a sweep to --sweep',
      fields: { address },
    });
  if (isServiceError(cause) && cause.code === grpcStatus.PERMISSION_DENIED)
    return new DeepDefenseError('IDENTITY_REFUSED', {
      what: `the sweep's coordinator at "${address}" refused (${name})`,
      got: cause.details,
      todo: 'use a certificate of the role that is needed',
      fields: { address },
    });
  if (isServiceError(cause) && cause.code === grpcStatus.FAILED_PRECONDITION)
    return new DeepDefenseError('USAGE', {
      what: `the sweep's coordinator at "${address}" refused (${name})`,
      got: cause.details,
      fields: { address },
    });
  return new DeepDefenseError('CONNECT_FAILED', {
    what: `the sweep's coordinator at "${address}" did not answer (${name})`,
    got: isServiceError(cause) ? cause.details : cause.message,
    todo: 'check the address and that the sweep runs',
    fields: { address },
    cause,
  });
}
