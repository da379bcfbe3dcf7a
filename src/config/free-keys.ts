/** @file Keys that no result of training depends on. */

/** Keys, with everything below them. */
export const FREE_KEYS: readonly string[] = ['name', 'runsFolder', 'data.path', 'data.label', 'checkpoint', 'evaluation', 'cluster'];
