/** @file The options of the command line that say where NATS is. */
import type { NatsOptions } from '../../journal/index.ts';

export interface NatsFlags {
  /** nats://HOST:PORT, several with commas; user name and password may stand before the host. */
  readonly nats?: string;
  /** Path of a credentials file. */
  readonly natsCredentials?: string;
}

/** @returns undefined without servers */
export function natsOptionsOf({ nats, natsCredentials }: NatsFlags): NatsOptions | undefined {
  if (nats === undefined) return undefined;
  const login = /^(?:\w+:\/\/)?([^:@,/]+):([^@,/]+)@/.exec(nats);
  return {
    servers: nats.replaceAll(/[^,/@]*@/g, ''),
    credentialsFile: natsCredentials,
    ...(login !== null && { user: decodeURIComponent(login[1] as string), password: decodeURIComponent(login[2] as string) }),
  };
}

/** The same as arguments of a worker process; a password goes by the environment, where other users don't see it. */
export function natsArguments(sweepId: string, { nats = '', natsCredentials }: NatsFlags): readonly string[] {
  const credentials = natsCredentials === undefined ? [] : ['--nats-credentials', natsCredentials];
  return [...(nats.includes('@') ? [] : ['--nats', nats]), ...credentials, '--sweep', sweepId];
}
