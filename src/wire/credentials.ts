/** @file TLS of the gRPC connections: who listens and who calls show certificates of one authority, or the caller a token of it. */
import { type ChannelCredentials, type ChannelOptions, credentials, experimental, Metadata, ServerCredentials } from '@grpc/grpc-js';
import { DeepDefenseError } from '../core/index.ts';
import { type Identity, identityOf, type Login } from '../security/index.ts';
import { CertificateReloader } from './certificate-reloader.ts';
import type { ServerOptions } from './gate.ts';

/** Of a server; without certificates it speaks plain text. With tokens it asks for certificates, too, and its gate looks who has none. */
export function serverCredentials({ tls, acceptTokens = false, report = () => {}, observer }: ServerOptions): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const reloader = new CertificateReloader(tls, report, ({ notAfterMs }) => observer?.certificate(notAfterMs));
  return experimental.createCertificateProviderServerCredentials(reloader, reloader, !acceptTokens);
}

/** Of a client. It takes any host whose certificate is a coordinator's: coordinators move from machine to machine. */
export function clientCredentials(login: Login | undefined): ChannelCredentials {
  if (login === undefined) return credentials.createInsecure();
  const verify = {
    checkServerIdentity: (host: string, certificate: { readonly subjectaltname?: string }) => {
      const identity = identityOf(certificate.subjectaltname);
      return identity?.role === 'coordinator' ? undefined : new Error(`"${host}" shows the certificate of no coordinator`);
    },
  };
  if (!('token' in login)) return credentials.createSsl(login.authority, login.key, login.certificate, verify);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${login.token}`);
  // grpc-js sends it over TLS alone.
  return credentials.combineChannelCredentials(
    credentials.createSsl(login.authority, null, null, verify),
    credentials.createFromMetadataGenerator((_, done) => done(null, metadata)),
  );
}

/** The name that a client asks for; an address would be no name (RFC 6066), and what counts is the role. */
const SERVER_NAME = 'coordinator.deepdefense';

/** Options of a client's channel besides its credentials. */
export function channelOptions(login: Login | undefined): ChannelOptions {
  return login === undefined ? {} : { 'grpc.ssl_target_name_override': SERVER_NAME, 'grpc.default_authority': SERVER_NAME };
}

/** Process and random part of a worker's id. Both are asked for, as "gpu" must not stand for the workers of "gpu-1". */
const ID_SUFFIX = /-\d+-[0-9a-f]+$/;

/**
 * Checks that a worker's id is one that its certificate or token covers: `NAME-PROCESS-RANDOM`, in digits and hexadecimal digits.
 * @throws DeepDefenseError IDENTITY_REFUSED
 */
export function checkWorkerName(peer: Identity | undefined, workerId: string): void {
  if (peer === undefined || (ID_SUFFIX.test(workerId) && workerId.replace(ID_SUFFIX, '') === peer.name)) return;
  throw new DeepDefenseError('IDENTITY_REFUSED', {
    what: `a worker gives itself out as "${workerId.slice(0, 128)}"`,
    expected: `"${peer.name}-PROCESS-RANDOM", as its certificate or token says`,
    got: `"${workerId.slice(0, 128)}"`,
    fields: { peer, workerId: workerId.slice(0, 128) },
  });
}
