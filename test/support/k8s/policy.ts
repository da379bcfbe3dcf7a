/** @file What must hold for every set of manifests that is applied together. */
import type { Manifest } from './manifest.ts';
import { commandLinesParse } from './rules/command-lines.ts';
import { drainsEnd } from './rules/disruption.ts';
import { graceSuffices } from './rules/grace.ts';
import { imagesPinned } from './rules/images.ts';
import { networkClosed } from './rules/network.ts';
import { portsAgree } from './rules/ports.ts';
import { probesSet } from './rules/probes.ts';
import { namesUnique, referencesExist } from './rules/references.ts';
import { resourcesSet } from './rules/resources.ts';
import { namespaceRestricted, podsRestricted } from './rules/security.ts';
import { selectorsMatch } from './rules/selectors.ts';

/** @returns what is wrong, one line each. */
export type Rule = (manifests: readonly Manifest[]) => string[] | Promise<string[]>;

export const RULES = {
  'names are unique and in our namespace': namesUnique,
  'selectors match': selectorsMatch,
  'resources are set': resourcesSet,
  'pods are restricted': podsRestricted,
  'the namespace is restricted': namespaceRestricted,
  'images are pinned': imagesPinned,
  'probes are set': probesSet,
  'references exist': referencesExist,
  'ports agree': portsAgree,
  'the network is closed': networkClosed,
  'drains end': drainsEnd,
  'pods have time to end': graceSuffices,
  'command lines parse': commandLinesParse,
} as const satisfies Readonly<Record<string, Rule>>;

/** All problems under all rules, each behind the name of its rule. */
export async function policyProblems(manifests: readonly Manifest[]): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(RULES).map(async ([name, rule]) => (await rule(manifests)).map((problem) => `${name}: ${problem}`)),
  );
  return found.flat();
}
