/** @file Pods have the time that they need to end in order. */
import { nameOf, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';

/** `cluster.graceMs` of the config by default, and as much again for the checkpoint and for telling the coordinator. */
const NEEDED_SECONDS = 40;

export const graceSuffices: Rule = (manifests) =>
  podTemplates(manifests)
    .filter(({ spec }) => (spec.terminationGracePeriodSeconds ?? 30) < NEEDED_SECONDS)
    .map(({ owner }) => `${nameOf(owner)}: terminationGracePeriodSeconds is below ${NEEDED_SECONDS}`);
