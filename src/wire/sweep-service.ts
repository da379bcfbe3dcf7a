/** @file The gRPC service of a sweep as both sides use it: messages, a client with promises, a server. */
import { Client, type handleUnaryCall, type ServiceDefinition } from '@grpc/grpc-js';
import { DeepDefenseError } from '../core/index.ts';
import type { Identity, Login } from '../security/index.ts';
import { observed, watchConnections } from './call-observer.ts';
import { channelOptions, clientCredentials } from './credentials.ts';
import { limitedDecoder } from './decode.ts';
import { Gate, type Rights, type ServerOptions, statusFor } from './gate.ts';
import { loadSweepProto, SWEEP_METHODS } from './load-proto.ts';
import { CHANNEL_OPTIONS, createServer, type GrpcServer, grpcStatus, isServiceError } from './service.ts';

/** Messages of proto/deepdefense/v1/sweep.proto; what each field means is said there. */
export interface SweepCalls {
  describe: {
    request: { protocolVersion: number };
    reply: { protocolVersion: number; packageVersion: string; sweepId: string; leaseMs: number };
  };
  claim: {
    request: { worker: string; waitMs: number };
    reply: { kind: string; task: string; payload: string; epoch: number; priority: number };
  };
  extend: { request: ClaimReference; reply: ClaimVerdict };
  commit: { request: ClaimReference & { result: string }; reply: ClaimVerdict };
  fail: { request: ClaimReference & { code: string; message: string; lasting: boolean }; reply: ClaimVerdict };
  release: { request: ClaimReference; reply: ClaimVerdict };
  control: { request: { action: string; candidates: number; priority?: number }; reply: ClaimVerdict & { status: string } };
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

/** A client of the sweep's coordinator at `address` (host:port). Without a login in plain text: for one machine or a network that is trusted. */
export function createSweepClient(address: string, login?: Login): SweepClient {
  const proto = loadSweepProto();
  const client = new Client(address, clientCredentials(login), { ...CHANNEL_OPTIONS, ...channelOptions(login) });
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

const WORK: Rights = { roles: ['worker'], what: 'work for a sweep' };
const RIGHTS: Readonly<Record<SweepCall, Rights>> = {
  describe: { roles: ['worker', 'operator'], what: 'look at a sweep' },
  claim: WORK,
  extend: WORK,
  commit: WORK,
  fail: WORK,
  release: WORK,
  control: { roles: ['operator'], what: 'control a sweep' },
};

/** A server with the handlers; listen with `bindServer`, and the same options. A handler's error ends the call with it. */
export function createSweepServer(handlers: SweepHandlers, options: ServerOptions = {}): GrpcServer {
  const proto = loadSweepProto();
  const gate = new Gate(options);
  const { limits, report } = gate;
  const server = createServer(gate, Math.max(limits.resultBytes, limits.requestBytes));
  watchConnections(server, options.observer);
  const names = Object.keys(METHODS) as SweepCall[];
  const definition = Object.fromEntries(
    names.map((name) => {
      const method = proto[METHODS[name]];
      const mostBytes = name === 'commit' ? limits.resultBytes : limits.requestBytes;
      return [
        name,
        { ...method, requestDeserialize: limitedDecoder(method.requestDeserialize, { mostBytes, method: METHODS[name], report }) },
      ];
    }),
  ) as unknown as ServiceDefinition;
  const implementation = Object.fromEntries(
    names.map((name) => [name, unary(handlers[name] as SweepHandlers['describe'], RIGHTS[name], gate)]),
  );
  server.addService(...observed(definition, implementation, options.observer));
  return server;
}

function unary(
  handler: SweepHandlers['describe'],
  rights: Rights,
  gate: Gate,
): handleUnaryCall<SweepCalls['describe']['request'], SweepCalls['describe']['reply']> {
  return (call, callback) => {
    const cancelled = new AbortController();
    call.on('cancelled', () => cancelled.abort());
    const answer = async () => {
      gate.countMessage(call);
      const { identity } = await gate.enter(call, rights);
      return handler(call.request, cancelled.signal, identity);
    };
    answer().then(
      (reply) => callback(null, reply),
      (error: unknown) => callback(statusFor(error)),
    );
  };
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
  if (isServiceError(cause) && (cause.code === grpcStatus.PERMISSION_DENIED || cause.code === grpcStatus.UNAUTHENTICATED))
    return new DeepDefenseError('IDENTITY_REFUSED', {
      what: `the sweep's coordinator at "${address}" refused (${name})`,
      got: cause.details,
      todo: 'use a certificate or token of the role that is needed, for this sweep, that is valid now',
      fields: { address },
    });
  if (isServiceError(cause) && cause.code === grpcStatus.RESOURCE_EXHAUSTED)
    return new DeepDefenseError('LIMIT_EXCEEDED', {
      what: `the sweep's coordinator at "${address}" refused (${name})`,
      got: cause.details,
      todo: 'ask for less, or raise cluster.limits of the sweep',
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
