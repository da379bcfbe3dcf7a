/** @file Whether CIFAR-10 is here. Its absence is a warning: the built-in synthetic set needs no files. */
import { isDeepDefenseError } from '../core/index.ts';
import type { Check } from './doctor-checks.ts';

export function dataCheck(path: string | undefined): Check {
  return {
    name: 'data',
    exit: 'DATA',
    async run() {
      const { openDatasetWithOrigin } = await import('../data/index.ts');
      try {
        const { dataset, origin, path: found } = await openDatasetWithOrigin({ source: 'cifar10', path });
        return {
          state: 'ok',
          detail: `${dataset.name} in ${found ?? 'memory'} (from ${origin}), ${dataset.train.count} + ${dataset.test.count} images, content ${dataset.contentHash.slice(0, 12)}`,
        };
      } catch (error) {
        // Data that was named but is missing or damaged is a failure; none at all is not.
        if (!isDeepDefenseError(error) || error.code !== 'DATA_MISSING' || path !== undefined || process.env.DEEPDEFENSE_DATA) throw error;
        return {
          state: 'warning',
          detail: `no CIFAR-10 found; "deepdefense data get" downloads it (170 MB), and the built-in synthetic set works without`,
        };
      }
    },
  };
}
