/** @file TLS of connections to NATS: the certificates of both sides, and why a server refuses ours. */
import { readFile } from 'node:fs/promises';
import { connect as connectTcp, isIP } from 'node:net';
import { checkServerIdentity, connect as connectTls, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import { DeepDefenseError, type Role } from '../../core/index.ts';
import { identityOf, loadTlsFiles, tlsFilePaths } from '../../security/index.ts';

/** What the client hands to Node; the files are read with each connection. */
export interface TlsFilesOption {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly checkServerIdentity: NonNullable<ConnectionOptions['checkServerIdentity']>;
}

export interface NatsTls {
  readonly files: TlsFilesOption;
  /** Of our certificate. Answers go to subjects of the role, which those of another one can't listen to. */
  readonly role: Role | undefined;
}

/** How long {@link explainRefusal} waits for a server, in ms. */
const PROBE_MS = 3_000;
const NATS_PORT = 4222;
const SECURE = 'tls://';

/** True where the connection is encrypted. */
export function isSecure(servers: string): boolean {
  return servers.trim().startsWith(SECURE);
}

/** @returns undefined for plain text. @throws DeepDefenseError CERTIFICATE_INVALID */
export async function natsTlsOf(options: { readonly servers: string; readonly certs?: string | undefined }): Promise<NatsTls | undefined> {
  const { servers, certs } = options;
  if (!isSecure(servers)) return undefined;
  if (certs === undefined) return { files: { checkServerIdentity: checkNatsServer }, role: undefined };
  const [{ identity }, { authority, certificate, key }] = await Promise.all([loadTlsFiles(certs), tlsFilePaths(certs)]);
  const files = { caFile: authority, certFile: certificate, keyFile: key, checkServerIdentity: checkNatsServer };
  return { files, role: identity.role };
}

/** A server goes by its role, because servers move; one whose certificate has no role of ours by its host name. */
function checkNatsServer(host: string, certificate: PeerCertificate): Error | undefined {
  const identity = identityOf(certificate.subjectaltname);
  if (identity === undefined) return checkServerIdentity(host, certificate);
  if (identity.role === 'nats') return undefined;
  return Object.assign(new Error(`it has the certificate of ${identity.role} "${identity.name}"`), { code: 'ERR_TLS_CERT_ROLE' });
}

/**
 * Looks why connections come to nothing.
 * @throws DeepDefenseError IDENTITY_REFUSED when the first server ends them for want of a certificate that it accepts; else nothing
 */
export async function explainRefusal(servers: string, tls: TlsFilesOption): Promise<void> {
  const alert = await refusalOf(servers.split(',')[0] as string, tls).catch(() => undefined);
  if (alert === undefined) return;
  throw new DeepDefenseError('IDENTITY_REFUSED', {
    what: `the NATS server at ${servers} refused ${tls.certFile === undefined ? 'a connection without a certificate' : 'the certificate'}`,
    expected: "a certificate by the server's authority (--certs FOLDER, as `deepdefense certs issue` makes it)",
    got: alert,
    todo: 'give the right folder; `deepdefense certs list` shows what is valid',
    fields: { address: servers, certificate: tls.certFile },
  });
}

/** The alert with which a server ends the connection after the handshake; undefined when it doesn't. */
async function refusalOf(server: string, { caFile, certFile, keyFile, ...options }: TlsFilesOption): Promise<string | undefined> {
  const { hostname, port } = new URL(server.trim().replace(SECURE, 'http://'));
  const [ca, cert, key] = await Promise.all(
    [caFile, certFile, keyFile].map(async (file) => (file === undefined ? undefined : readFile(file))),
  );
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connectTcp({ host, port: Number(port || NATS_PORT), timeout: PROBE_MS });
    const settle = (alert?: string) => {
      socket.destroy();
      resolve(alert);
    };
    socket.once('error', () => settle());
    socket.once('timeout', () => settle());
    // The server greets in plain text, then both go on in TLS.
    socket.once('data', () => {
      const servername = isIP(host) === 0 ? host : '';
      const secured = connectTls({ ...options, socket, servername, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
      secured.once('error', (error: NodeJS.ErrnoException) =>
        settle(error.code?.startsWith('ERR_SSL_') === true && error.code.includes('ALERT') ? error.message : undefined),
      );
      secured.once('data', () => settle());
      secured.once('close', () => settle());
      secured.write('CONNECT {"verbose":false}\r\nPING\r\n');
    });
  });
}
