/** @file NATS servers as deploy/nats configures them: mutual TLS, users by certificate. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import type { TestAuthority } from './certificates.ts';
import { type NatsServer, startNatsServer } from './nats-server.ts';

/** Files of deploy/nats. */
export const NATS_CONFIG = fileURLToPath(new URL('../../deploy/nats/', import.meta.url));

/** The variables of a configuration file. */
export async function securedEnvironment(authority: TestAuthority, name: string): Promise<Record<string, string>> {
  const certs = await authority.issue('nats', name, 1, ['localhost', '127.0.0.1']);
  return {
    NATS_SERVER_NAME: name,
    NATS_MAX_FILE_STORE: '256M',
    NATS_CA: join(certs, 'ca.pem'),
    NATS_CERT: join(certs, 'cert.pem'),
    NATS_KEY: join(certs, 'key.pem'),
  };
}

/** One server with deploy/nats/nats.conf. */
export async function startSecuredNats(authority: TestAuthority): Promise<NatsServer> {
  return startNatsServer({ file: join(NATS_CONFIG, 'nats.conf'), env: await securedEnvironment(authority, 'nats') });
}

/** Address for the command line. */
export function tlsUrl({ port }: NatsServer): string {
  return `tls://127.0.0.1:${port}`;
}
