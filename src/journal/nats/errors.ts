/**
 * @file What NATS says, as errors with our codes. The client's classes are recognised by name and number, so that this file needs not
 * load the client.
 */
import { DeepDefenseError, isDeepDefenseError } from '../../core/index.ts';

/** Numbers of the server's JetStream errors (server/errors.json of nats-server). */
export const JS_ERROR = {
  WRONG_LAST_SEQUENCE: 10071,
  /** Newer servers, when other writes are under way. */
  WRONG_LAST_SEQUENCE_UNKNOWN: 10164,
  STREAM_NOT_FOUND: 10059,
  CONSUMER_NOT_FOUND: 10014,
  MESSAGE_NOT_FOUND: 10037,
  /** Of a deletion. */
  MESSAGE_GONE: 10057,
  NOT_ENABLED: 10076,
  NOT_ENABLED_FOR_ACCOUNT: 10039,
  /** Of a server that is no member of a cluster. */
  NO_CLUSTER: 10074,
  TOO_FEW_SERVERS: 10005,
} as const;

/** No room: for the account, in memory, on the disk, in the stream. */
const STORAGE_ERRORS: readonly number[] = [10002, 10023, 10028, 10047, 10077, 10122];
const TOO_LARGE_ERRORS: readonly number[] = [10054];
/** Status of a pull whose consumer has gone. */
const CONSUMER_DELETED = 409;
/** Of the client: the server is away, silent, or not ready for JetStream yet. */
const CONNECTION_ERRORS: readonly string[] = [
  'ClosedConnectionError',
  'ConnectionError',
  'DrainingConnectionError',
  'JetStreamNotEnabled',
  'NoRespondersError',
  'RequestError',
  'TimeoutError',
];

/** Of Node, where the client hands them on: no way to the server, or no address for its name, as of a cluster whose DNS has just begun. */
const NETWORK_ERRORS = /^(EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|EPIPE|ETIMEDOUT)$/;

/** The server knows who asks, and doesn't let them. */
const REFUSALS: readonly string[] = ['AuthorizationError', 'PermissionViolationError'];

/** Of Node: the certificate of a server isn't accepted. */
const CERTIFICATE_ERRORS = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_TLS_CERT_|ERR_SSL_)/;

/** Number of a JetStream error; undefined for any other. */
export function jetStreamCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'number') return undefined;
  return error.code;
}

/** A write by compare-and-swap found something newer. */
export function isConflict(error: unknown): boolean {
  const code = jetStreamCode(error);
  return code === JS_ERROR.WRONG_LAST_SEQUENCE || code === JS_ERROR.WRONG_LAST_SEQUENCE_UNKNOWN;
}

/** Trying again may help: the connection is lost, or the server is starting. What was sent may have been done or not. */
export function isTransient(error: unknown): boolean {
  if (isDeepDefenseError(error)) return error.code === 'CONNECT_FAILED';
  if (!(error instanceof Error) || isRefusal(error)) return false;
  const code = jetStreamCode(error);
  if ('code' in error && typeof error.code === 'string' && NETWORK_ERRORS.test(error.code)) return true;
  return CONNECTION_ERRORS.includes(error.name) || code === 10008 || code === 503;
}

/** A request that isn't permitted fails with an error whose cause says so. */
function isRefusal({ name, cause }: Error): boolean {
  return REFUSALS.includes(name) || (cause instanceof Error && REFUSALS.includes(cause.name));
}

/**
 * @param what e.g. `can't publish task "a"`
 * @param address servers, for messages
 */
export function natsError(what: string, address: string, cause: unknown): DeepDefenseError {
  if (isDeepDefenseError(cause)) return cause;
  const got = cause instanceof Error ? cause.message : String(cause);
  const code = jetStreamCode(cause);
  const fields = { address };
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string' && CERTIFICATE_ERRORS.test(cause.code)) {
    return new DeepDefenseError('IDENTITY_REFUSED', {
      what: `the certificate of the NATS server at ${address} is not accepted`,
      expected: 'one of the role nats (`deepdefense certs issue --role nats`) by the authority in ca.pem',
      got: `${got} (${cause.code})`,
      todo: 'give the certificates of the right authority with --certs, or check the address',
      fields,
      cause,
    });
  }
  if (code !== undefined && STORAGE_ERRORS.includes(code)) {
    const todo = "make room on the server's disk, or raise the limit of the stream or account (see docs/nats.md)";
    return new DeepDefenseError('STORAGE_FAILED', { what, got, todo, fields, cause });
  }
  if ((code !== undefined && TOO_LARGE_ERRORS.includes(code)) || got.includes('max_payload')) {
    return new DeepDefenseError('PAYLOAD_TOO_LARGE', { what, got, todo: 'raise max_payload of the server', fields, cause });
  }
  if (code === JS_ERROR.STREAM_NOT_FOUND || code === JS_ERROR.CONSUMER_NOT_FOUND || code === CONSUMER_DELETED) {
    return new DeepDefenseError('CONNECT_FAILED', {
      what,
      got,
      todo: "start the sweep's coordinator, which makes its streams",
      fields,
      cause,
    });
  }
  if (code === JS_ERROR.NO_CLUSTER || code === JS_ERROR.TOO_FEW_SERVERS) {
    return new DeepDefenseError('NATS_UNSUPPORTED', {
      what,
      expected: 'a cluster with as many servers as there are to be copies (--nats-replicas), all with room',
      got,
      todo: 'ask for fewer copies, or add servers',
      fields,
      cause,
    });
  }
  if (code === JS_ERROR.NOT_ENABLED || code === JS_ERROR.NOT_ENABLED_FOR_ACCOUNT) return noJetStream(address, cause);
  if (cause instanceof Error && (isTransient(cause) || isRefusal(cause))) {
    return new DeepDefenseError('CONNECT_FAILED', {
      what,
      got: `${got === '' ? cause.name : got}, NATS at ${address}`,
      todo: 'check that the NATS server runs, its address, and the login or certificate and its permissions (docs/nats.md)',
      fields,
      cause,
    });
  }
  return new DeepDefenseError('INTERNAL', { what, got, fields, cause });
}

export function noJetStream(address: string, cause?: unknown): DeepDefenseError {
  return new DeepDefenseError('NATS_UNSUPPORTED', {
    what: `JetStream is off on the NATS server at ${address}`,
    expected: 'a server with JetStream, and an account that may use it',
    todo: 'start nats-server with -js or with a jetstream block in its configuration',
    fields: { address },
    cause,
  });
}
