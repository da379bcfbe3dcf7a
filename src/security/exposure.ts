/** @file Plain text stays on this machine unless somebody says otherwise. */
import { isIP } from 'node:net';
import { DeepDefenseError } from '../core/index.ts';
import type { TlsFiles } from './tls-files.ts';

/** True for addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1' || host === '[::1]') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/** @throws DeepDefenseError USAGE for a listener without certificates that others can reach, unless that is asked for */
export function checkExposure(host: string, tls: TlsFiles | undefined, insecure: boolean): void {
  if (tls !== undefined || insecure || isLoopback(host)) return;
  throw new DeepDefenseError('USAGE', {
    what: `"${host}" can be reached from other machines, and there are no certificates: anybody could take part, read and change everything`,
    expected: 'certificates (--certs FOLDER), or an address of this machine alone',
    got: `host ${host} without --certs`,
    todo: 'make certificates with `deepdefense certs init` and `certs issue`, or say --insecure in a network that you trust',
    fields: { host },
  });
}
