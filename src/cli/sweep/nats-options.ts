/** @file The options of the command line that say where NATS is. */
import { DeepDefenseError } from '../../core/index.ts';
import type { NatsOptions } from '../../journal/index.ts';

export interface NatsFlags {
  /** nats://HOST:PORT, several with commas; user name and password may stand before the host. */
  readonly nats?: string;
  /** Path of a credentials file. */
  readonly natsCredentials?: string;
}

/**
 * @param onLost told of each loss of the connection
 * @returns undefined without servers
 * @throws DeepDefenseError USAGE when there are credentials for no server
 */
export function natsOptionsOf({ nats, natsCredentials }: NatsFlags, onLost?: (reason: string) => void): NatsOptions | undefined {
  if (nats === undefined) {
    if (natsCredentials === undefined) return undefined;
    throw new DeepDefenseError('USAGE', {
      what: 'there are credentials for NATS and no servers',
      expected: '--nats (or DEEPDEFENSE_NATS) beside --nats-credentials (or DEEPDEFENSE_NATS_CREDENTIALS)',
      todo: 'give the servers, or leave out the credentials: the sweep is kept in its folder then',
    });
  }
  const login = /^(?:\w+:\/\/)?([^:@,/]+):([^@,/]+)@/.exec(nats);
  return {
    servers: nats.replaceAll(/[^,/@]*@/g, ''),
    credentialsFile: natsCredentials,
    onLost,
    ...(login !== null && { user: decodeURIComponent(login[1] as string), password: decodeURIComponent(login[2] as string) }),
  };
}

/** The same as arguments of a process that this one starts; without a password, see {@link passOnLogin}. */
export function natsArguments({ nats, natsCredentials }: NatsFlags): readonly string[] {
  return [
    ...(nats === undefined || nats.includes('@') ? [] : ['--nats', nats]),
    ...(natsCredentials === undefined ? [] : ['--nats-credentials', natsCredentials]),
  ];
}

/** Processes that this one starts get servers with a password by the environment, where other users don't see it. */
export function passOnLogin({ nats }: NatsFlags): void {
  if (nats?.includes('@') === true) process.env.DEEPDEFENSE_NATS = nats;
}
