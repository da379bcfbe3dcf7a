/** @file Hands objects to the server, all or none, and says what that changed there. */
import { type ObjectThere, objectsThere } from './in-cluster.ts';
import type { Kubectl } from './kubectl.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { toYaml } from './render.ts';

/** What became of one object of a submission that was there already. */
export interface ObjectChange {
  readonly kind: string;
  readonly name: string;
  readonly change: 'made' | 'changed' | 'removed';
  /** Of a Job whose number of workers is another one now. */
  readonly workers?: { readonly before: number; readonly now: number };
}

/**
 * Asks the server about all objects before it makes one: a part of them would be of no use, and a part of a change would restart what runs.
 * Then the first object alone: it can't be changed, so of two that submit one name at once one is refused before anything of it is there.
 * What was there and is no longer asked for is removed: workers of its own, or the budget of their drains.
 * @param before what was there; undefined for a new submission
 * @returns what another submission of the same file changed
 * @throws DeepDefenseError CLUSTER_FAILED
 */
export async function applyObjects(
  kubectl: Kubectl,
  id: string,
  objects: readonly [KubernetesObject, ...KubernetesObject[]],
  before: readonly ObjectThere[] | undefined,
): Promise<readonly ObjectChange[]> {
  const [first, ...others] = objects;
  await kubectl.apply(toYaml(objects), { dryRun: true });
  await kubectl.apply(toYaml([first]));
  await kubectl.apply(toYaml(others));
  if (before === undefined) return [];
  const asked = objects.map(({ kind, metadata: { name } }) => ({ kind, name }));
  const surplus = before.filter((each) => find(asked, each) === undefined);
  for (const { kind, name } of surplus) await kubectl.run(['delete', kind, name, '--ignore-not-found', '--wait=false']);
  const after = (await objectsThere(kubectl, id)).filter((each) => find(asked, each) !== undefined);
  return [
    ...after.flatMap((now) => changeOf(find(before, now), now)),
    ...surplus.map(({ kind, name }) => ({ kind, name, change: 'removed' as const })),
  ];
}

/** The server counts an object's generation up when it changes what is asked of it, not when its state changes. */
function changeOf(before: ObjectThere | undefined, now: ObjectThere): readonly ObjectChange[] {
  const { kind, name } = now;
  if (before === undefined) return [{ kind, name, change: 'made' }];
  if (before.generation === now.generation) return [];
  const [earlier, later] = [before.parallelism, now.parallelism];
  const isResized = earlier !== undefined && later !== undefined && earlier !== later;
  return [{ kind, name, change: 'changed', ...(isResized && { workers: { before: earlier, now: later } }) }];
}

interface ObjectName {
  readonly kind: string;
  readonly name: string;
}

function find<T extends ObjectName>(objects: readonly T[], { kind, name }: ObjectName): T | undefined {
  return objects.find((object) => object.kind === kind && object.name === name);
}
