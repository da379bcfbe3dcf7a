/**
 * @file Who a process is, by its certificate or token: a role, a name, and where it may act. In certificates it is a URI among the
 * alternative names, `spiffe://deepdefense/ROLE/NAME`, with `/run/ID` or `/sweep/ID` behind it where it is limited to one of them.
 */

import { DeepDefenseError, type Role, ROLES } from '../core/index.ts';

/** One run (or evaluation) or one sweep. */
export interface Scope {
  readonly kind: 'run' | 'sweep';
  readonly id: string;
}

export interface Identity {
  readonly role: Role;
  /** Of workers the beginning of their ids. */
  readonly name: string;
  /** Where its owner may act; undefined = everywhere. */
  readonly scope?: Scope | undefined;
}

const PREFIX = 'spiffe://deepdefense/';
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const SCOPE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** Lower-case letters, digits and hyphens: the name becomes part of ids, files and URIs. */
export function isIdentityName(name: string): boolean {
  return NAME.test(name);
}

/** Ids of runs and sweeps as scopes name them. */
export function isScopeId(id: string): boolean {
  return SCOPE_ID.test(id);
}

/**
 * @throws DeepDefenseError USAGE for an identity that can't be issued
 */
export function checkIssuable({ name, scope }: Identity): void {
  if (!isIdentityName(name))
    throw new DeepDefenseError('USAGE', {
      what: 'bad name of a certificate or token',
      expected: '1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen',
      got: `"${name}"`,
    });
  if (scope !== undefined && !isScopeId(scope.id))
    throw new DeepDefenseError('USAGE', {
      what: `bad id of a ${scope.kind}`,
      expected: '1 to 128 letters, digits, hyphens and underscores, beginning with a letter or digit',
      got: `"${scope.id}"`,
    });
}

/** `ROLE/NAME`, or `ROLE/NAME/run/ID`. */
export function identityPath({ role, name, scope }: Identity): string {
  return [role, name, ...(scope === undefined ? [] : [scope.kind, scope.id])].join('/');
}

/** @returns undefined where the text is no path of an identity */
export function identityFromPath(path: string): Identity | undefined {
  const [role, name, kind, id, ...rest] = path.split('/');
  const known = ROLES.find((each) => each === role);
  if (known === undefined || name === undefined || !isIdentityName(name) || rest.length > 0) return undefined;
  if (kind === undefined) return { role: known, name };
  if ((kind !== 'run' && kind !== 'sweep') || id === undefined || !isScopeId(id)) return undefined;
  return { role: known, name, scope: { kind, id } };
}

export function identityUri(identity: Identity): string {
  return `${PREFIX}${identityPath(identity)}`;
}

/**
 * The identity in a certificate's alternative names, as Node prints them (`URI:..., DNS:...`).
 * @returns undefined where there is none, or more than one
 */
export function identityOf(alternativeNames: string | undefined): Identity | undefined {
  const uris = (alternativeNames ?? '').split(', ').filter((name) => name.startsWith(`URI:${PREFIX}`));
  const [uri] = uris;
  return uris.length === 1 && uri !== undefined ? identityFromPath(uri.slice(`URI:${PREFIX}`.length)) : undefined;
}

/**
 * Checks that an identity may act in one of the roles, and here.
 * @param what completes "entitle its owner to"
 * @param place the run or sweep of the server; undefined = of no matter
 * @throws DeepDefenseError IDENTITY_REFUSED
 */
export function authorise(identity: Identity | undefined, roles: readonly Role[], what: string, place?: Scope): void {
  const allowed = identity !== undefined && (identity.role === 'coordinator' || roles.includes(identity.role));
  const scope = identity?.scope;
  const here = scope === undefined || place === undefined || (scope.kind === place.kind && scope.id === place.id);
  if (allowed && here) return;
  throw new DeepDefenseError('IDENTITY_REFUSED', {
    what: `the certificate or token doesn't entitle its owner to ${what}`,
    expected: allowed ? 'one for this run or sweep, or for all' : `one of the role ${roles.join(' or ')}`,
    got: identity === undefined ? 'one without a role' : `${identity.role} "${identity.name}"${forScope(scope)}`,
    todo: 'issue one with `deepdefense certs issue` or `deepdefense tokens issue`',
    fields: { identity },
  });
}

function forScope(scope: Scope | undefined): string {
  return scope === undefined ? '' : ` for ${scope.kind} "${scope.id}"`;
}
