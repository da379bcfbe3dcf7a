/** @file The roles that certificates give; here because the command line names them before it loads anything else. */

/** What a process may do: see docs/security.md. A coordinator may do what workers and operators may; `nats` is for servers of NATS alone. */
export const ROLES = ['coordinator', 'worker', 'operator', 'nats'] as const;
export type Role = (typeof ROLES)[number];
