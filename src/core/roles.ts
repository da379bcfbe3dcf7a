/** @file The roles that certificates give; here because the command line names them before it loads anything else. */

/** What a process may do: see docs/security.md. A coordinator may do what workers and operators may. */
export const ROLES = ['coordinator', 'worker', 'operator'] as const;
export type Role = (typeof ROLES)[number];
