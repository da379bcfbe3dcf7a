/** @file Mutual TLS of the gRPC connections: who listens and who calls show certificates of one authority, with roles. */
import { type ChannelCredentials, type ChannelOptions, credentials, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { DeepDefenseError, type Role } from '../core/index.ts';
import { authorise, type Identity, identityOf, type TlsFiles } from '../security/index.ts';

/** Of a server; without certificates it speaks plain text. */
export function serverCredentials(tls: TlsFiles | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(tls.authority, [{ private_key: tls.key, cert_chain: tls.certificate }], true);
}

/** Of a client. It takes any host whose certificate is a coordinator's: coordinators move from machine to machine. */
export function clientCredentials(tls: TlsFiles | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  return credentials.createSsl(tls.authority, tls.key, tls.certificate, {
    checkServerIdentity: (host, certificate) => {
      const identity = identityOf(certificate.subjectaltname);
      return identity?.role === 'coordinator' ? undefined : new Error(`"${host}" shows the certificate of no coordinator`);
    },
  });
}

/** The name that a client asks for; an address would be no name (RFC 6066), and what counts is the role. */
const SERVER_NAME = 'coordinator.deepdefense';

/** Options of a client's channel besides its credentials. */
export function channelOptions(tls: TlsFiles | undefined): ChannelOptions {
  return tls === undefined ? {} : { 'grpc.ssl_target_name_override': SERVER_NAME, 'grpc.default_authority': SERVER_NAME };
}

/** Any call as a server sees it. */
type ServerCall = Pick<ServerWritableStream<unknown, unknown>, 'getAuthContext'>;

/** Who calls; undefined over plain text. */
export function peerOf(call: ServerCall): Identity | undefined {
  return identityOf(call.getAuthContext().sslPeerCertificate?.subjectaltname);
}

/**
 * Checks that a caller may act in one of the roles. Without certificates everybody may.
 * @throws DeepDefenseError IDENTITY_REFUSED
 */
export function authorisePeer(tls: TlsFiles | undefined, peer: Identity | undefined, roles: readonly Role[], what: string): void {
  if (tls !== undefined) authorise(peer, roles, what);
}

/**
 * Checks that a worker's id is one that its certificate covers: the name, a hyphen, and anything.
 * @throws DeepDefenseError IDENTITY_REFUSED
 */
export function checkWorkerName(peer: Identity | undefined, workerId: string): void {
  if (peer === undefined || workerId.startsWith(`${peer.name}-`)) return;
  throw new DeepDefenseError('IDENTITY_REFUSED', {
    what: `a worker gives itself out as "${workerId}"`,
    expected: `an id that begins with "${peer.name}-", as its certificate says`,
    got: `"${workerId}"`,
    fields: { peer, workerId },
  });
}
