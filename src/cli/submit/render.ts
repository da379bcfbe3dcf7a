/** @file All objects of a submission. */
import { stringify } from 'yaml';
import { DeepDefenseError } from '../../core/index.ts';
import { configMap, coordinatorObjects } from './coordinator-objects.ts';
import type { KubernetesObject, Placement } from './kubernetes-object.ts';
import type { Submission } from './submission.ts';
import { workerObjects } from './worker-objects.ts';

/**
 * In the order in which they are applied; the first one holds the name.
 * @throws DeepDefenseError USAGE for workers that would never do
 */
export function renderSubmission(submission: Submission, placement: Placement): readonly [KubernetesObject, ...KubernetesObject[]] {
  check(submission, placement);
  return [configMap(submission, placement), ...coordinatorObjects(submission, placement), ...workerObjects(submission, placement)];
}

/** One YAML document each. */
export function toYaml(objects: readonly KubernetesObject[]): string {
  return objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n');
}

function check({ kind, minWorkers }: Submission, { workers, queue, gpus }: Placement): void {
  if (kind === 'run' && workers < minWorkers)
    throw new DeepDefenseError('USAGE', {
      what: 'no step could start: the run waits for more workers than it gets',
      expected: `--workers of at least ${minWorkers} (cluster.minWorkers)`,
      got: `--workers ${workers}`,
      todo: `give --workers ${minWorkers}, or --set cluster.minWorkers=${Math.max(1, workers)}`,
    });
  const [option] = [...(queue === undefined ? [] : ['--queue']), ...(gpus === 0 ? [] : ['--gpus'])];
  if (workers === 0 && option !== undefined)
    throw new DeepDefenseError('USAGE', {
      what: `${option} is about workers of this sweep's own, and it has none`,
      expected: '--workers of at least 1',
      todo: `give --workers, or leave ${option} out: the pool of the namespace has its own settings`,
    });
}
