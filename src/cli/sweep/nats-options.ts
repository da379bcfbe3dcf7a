/** @file The options of the command line that say where NATS is. */
import { DeepDefenseError } from '../../core/index.ts';
import { isSecure, type NatsOptions } from '../../journal/index.ts';
import { isLoopback } from '../../security/index.ts';
import type { GlobalOptions } from '../context.ts';

export interface NatsFlags {
  /** nats://HOST:PORT, or tls://HOST:PORT for TLS; several with commas; user name and password may stand before the host. */
  readonly nats?: string;
  /** Path of a credentials file. */
  readonly natsCredentials?: string;
  /** How long the servers may be away, in seconds. */
  readonly natsPatience?: number;
  /** Copies of what is made new. */
  readonly natsReplicas?: number;
}

/** How connections are secured. */
export type SecurityFlags = Pick<GlobalOptions, 'certs' | 'insecure'>;

/**
 * @param onLost told of each loss of the connection
 * @returns undefined without servers
 * @throws DeepDefenseError USAGE when there are credentials for no server, or for plain text to other machines without --insecure
 */
export function natsOptionsOf(
  { nats, natsCredentials, natsPatience, natsReplicas }: NatsFlags,
  { certs, insecure = false }: SecurityFlags,
  onLost?: (reason: string) => void,
): NatsOptions | undefined {
  if (nats === undefined) {
    if (natsCredentials === undefined) return undefined;
    throw new DeepDefenseError('USAGE', {
      what: 'there are credentials for NATS and no servers',
      expected: '--nats (or DEEPDEFENSE_NATS) beside --nats-credentials (or DEEPDEFENSE_NATS_CREDENTIALS)',
      todo: 'give the servers, or leave out the credentials: the sweep is kept in its folder then',
    });
  }
  const servers = nats.replaceAll(/[^,/@]*@/g, '');
  checkServers(servers, insecure);
  const login = /^(?:\w+:\/\/)?([^:@,/]+):([^@,/]+)@/.exec(nats);
  return {
    servers,
    credentialsFile: natsCredentials,
    replicas: natsReplicas,
    patienceMs: natsPatience === undefined ? undefined : natsPatience * 1000,
    ...(certs !== undefined && isSecure(servers) && { certs }),
    onLost,
    ...(login !== null && { user: decodeURIComponent(login[1] as string), password: decodeURIComponent(login[2] as string) }),
  };
}

/** The same as arguments of a process that this one starts; without a password, see {@link passOnLogin}. */
export function natsArguments({ nats, natsCredentials, natsPatience }: NatsFlags, { insecure }: SecurityFlags): readonly string[] {
  return [
    ...(nats === undefined || nats.includes('@') ? [] : ['--nats', nats]),
    ...(natsCredentials === undefined ? [] : ['--nats-credentials', natsCredentials]),
    ...(nats === undefined || natsPatience === undefined ? [] : ['--nats-patience', `${natsPatience}`]),
    ...(nats !== undefined && insecure === true ? ['--insecure'] : []),
  ];
}

/** Processes that this one starts get servers with a password by the environment, where other users don't see it. */
export function passOnLogin({ nats }: NatsFlags): void {
  if (nats?.includes('@') === true) process.env.DEEPDEFENSE_NATS = nats;
}

function checkServers(servers: string, insecure: boolean): void {
  const all = servers.split(',').map((each) => each.trim());
  const plain = all.filter((each) => !isSecure(each));
  if (plain.length > 0 && plain.length < all.length) {
    throw new DeepDefenseError('USAGE', {
      what: 'the servers of one NATS cluster speak TLS all or none',
      expected: 'tls:// before every address, or before none',
      got: `"${servers}"`,
    });
  }
  const exposed = plain.find((each) => !isLoopback(hostOf(each)));
  if (exposed === undefined || insecure) return;
  throw new DeepDefenseError('USAGE', {
    what: `the connection to NATS at "${exposed}" is in plain text: others on its way can read and change everything`,
    expected: 'tls://HOST:PORT with certificates (--certs FOLDER), or an address of this machine',
    got: `"${exposed}" without --insecure`,
    todo: 'make certificates with `deepdefense certs` (docs/nats.md), or say --insecure in a network that you trust',
    fields: { address: exposed },
  });
}

/** @returns without port and brackets */
function hostOf(server: string): string {
  const address = server.replace(/^\w+:\/\//, '');
  return /^\[(.*)\]/.exec(address)?.[1] ?? address.replace(/:\d*$/, '');
}
