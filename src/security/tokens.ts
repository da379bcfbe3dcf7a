/**
 * @file Bearer tokens in place of client certificates: a JWT (RFC 7519) that the authority signs with its key (ES256) and that a
 * coordinator checks with the authority's certificate, so that no secret lies on it. The library is only loaded here.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import { DeepDefenseError } from '../core/index.ts';
import { type Identity, identityFromPath, identityPath } from './identity.ts';
import { pemBlocks } from './tls-files.ts';

const ALGORITHM = 'ES256';
const ISSUER = 'deepdefense';
const AUDIENCE = 'deepdefense-coordinator';
const TYPE = 'deepdefense+jwt';
const DAY_SECONDS = 86_400;
/** Clocks of a cluster differ. */
const TOLERANCE_SECONDS = 60;
/** Longer than any that we sign. */
const MOST_CHARACTERS = 4096;

/** What a token that holds says. */
export interface TokenClaims {
  readonly identity: Identity;
  /** End of its validity, in ms since the epoch. */
  readonly notAfterMs: number;
}

/** Signs a token. @param key of the authority, PEM */
export function signToken(key: string, identity: Identity, days: number, nowMs: number): Promise<string> {
  const now = Math.floor(nowMs / 1000);
  return new SignJWT({})
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(identityPath(identity))
    .setIssuedAt(now)
    .setExpirationTime(now + Math.round(days * DAY_SECONDS))
    .sign(createPrivateKey(key));
}

/**
 * Checks signature, form and time of a token.
 * @param authorities PEM, one or several
 * @throws DeepDefenseError IDENTITY_REFUSED with the reason, which is for the server's log and not for the caller
 */
export async function verifyToken(token: string, authorities: Buffer | string, nowMs: number): Promise<TokenClaims> {
  if (token.length > MOST_CHARACTERS) throw refused(`${token.length} characters`);
  let reason = 'no authority';
  for (const block of pemBlocks(authorities)) {
    try {
      const { payload } = await jwtVerify(token, new X509Certificate(block).publicKey, {
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        audience: AUDIENCE,
        typ: TYPE,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: TOLERANCE_SECONDS,
        currentDate: new Date(nowMs),
      });
      const identity = identityFromPath(payload.sub ?? '');
      if (identity === undefined) throw refused('its subject is no role and name');
      return { identity, notAfterMs: (payload.exp as number) * 1000 };
    } catch (cause) {
      if (!(cause instanceof errors.JOSEError)) throw cause;
      reason = `${cause.code}: ${cause.message}`;
      // Another authority can't help.
      if (cause.code !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') break;
    }
  }
  throw refused(reason);
}

function refused(got: string): DeepDefenseError {
  return new DeepDefenseError('IDENTITY_REFUSED', { what: 'a token was refused', expected: 'one that this authority has signed', got });
}
