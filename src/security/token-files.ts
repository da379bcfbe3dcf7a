/** @file The token of a process: a file that `deepdefense tokens issue` makes, with the authority's ca.pem beside it. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DeepDefenseError, systemClock } from '../core/index.ts';
import type { Identity } from './identity.ts';
import { TLS_FILE_NAMES, type TlsFiles } from './tls-files.ts';
import type { TokenClaims } from './tokens.ts';

export const TOKEN_FILE_NAME = 'token';

/** What a client needs to call a coordinator with a token. */
export interface TokenFiles {
  readonly token: string;
  /** Of the coordinator's certificate; PEM. */
  readonly authority: Buffer;
  readonly identity: Identity;
  /** End of the token's validity, in ms since the epoch. */
  readonly notAfterMs: number;
}

/** What a client shows: a certificate, or a token. */
export type Login = TlsFiles | TokenFiles;

/**
 * Reads and checks a token with the authority beside it.
 * @throws DeepDefenseError TOKEN_INVALID when a file is missing, or the token is none, has ended, or is another authority's
 */
export async function loadTokenFile(path: string, nowMs: number = systemClock.nowMs()): Promise<TokenFiles> {
  const authorityPath = join(dirname(path), TLS_FILE_NAMES.authority);
  const [text, authority] = await Promise.all([read(path), read(authorityPath)]);
  const token = text.toString('utf8').trim();
  try {
    return { token, authority, ...(await checkToken(token, authority, nowMs)) };
  } catch (cause) {
    const got = cause instanceof DeepDefenseError ? cause.parts.got : cause instanceof Error ? cause.message : String(cause);
    throw invalid(path, `a token that is valid now and signed by the authority in "${authorityPath}"`, got ?? '', cause);
  }
}

/** As verifyToken (tokens.ts), whose library is loaded with the first token. @throws DeepDefenseError IDENTITY_REFUSED */
export async function checkToken(token: string, authorities: Buffer | string, nowMs: number = systemClock.nowMs()): Promise<TokenClaims> {
  const { verifyToken } = await import('./tokens.ts');
  return verifyToken(token, authorities, nowMs);
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw invalid(
      path,
      `a token, and ${TLS_FILE_NAMES.authority} beside it`,
      cause instanceof Error ? cause.message : String(cause),
      cause,
    );
  }
}

function invalid(path: string, expected: string, got: string, cause: unknown): DeepDefenseError {
  return new DeepDefenseError('TOKEN_INVALID', {
    what: `"${path}" can't be used`,
    expected,
    got,
    todo: 'issue one with `deepdefense tokens issue`',
    fields: { path },
    cause,
  });
}
