/** @file Who a process is, by its certificate: a role and a name, as a URI among the certificate's alternative names. */

import { DeepDefenseError, type Role, ROLES } from '../core/index.ts';

export interface Identity {
  readonly role: Role;
  /** Of workers the beginning of their ids. */
  readonly name: string;
}

const PREFIX = 'spiffe://deepdefense/';
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** Lower-case letters, digits and hyphens: the name becomes part of ids, files and URIs. */
export function isIdentityName(name: string): boolean {
  return NAME.test(name);
}

export function identityUri({ role, name }: Identity): string {
  return `${PREFIX}${role}/${name}`;
}

/**
 * The identity in a certificate's alternative names, as Node prints them (`URI:..., DNS:...`).
 * @returns undefined where there is none, or more than one
 */
export function identityOf(alternativeNames: string | undefined): Identity | undefined {
  const uris = (alternativeNames ?? '').split(', ').filter((name) => name.startsWith(`URI:${PREFIX}`));
  const [role, name, ...rest] = (uris[0] ?? '').slice(`URI:${PREFIX}`.length).split('/');
  const known = ROLES.find((each) => each === role);
  if (uris.length !== 1 || known === undefined || name === undefined || rest.length > 0 || !isIdentityName(name)) return undefined;
  return { role: known, name };
}

/**
 * Checks that an identity may act in one of the roles.
 * @param what completes "entitle its owner to"
 * @throws DeepDefenseError IDENTITY_REFUSED
 */
export function authorise(identity: Identity | undefined, roles: readonly Role[], what: string): void {
  if (identity !== undefined && (identity.role === 'coordinator' || roles.includes(identity.role))) return;
  throw new DeepDefenseError('IDENTITY_REFUSED', {
    what: `the certificate doesn't entitle its owner to ${what}`,
    expected: `a certificate of the role ${roles.join(' or ')}`,
    got: identity === undefined ? 'one without a role' : `${identity.role} "${identity.name}"`,
    todo: 'issue a certificate of that role with `deepdefense certs issue`',
    fields: { identity },
  });
}
