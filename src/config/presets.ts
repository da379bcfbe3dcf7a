/** @file Named starting points; a file and `--set` override them. */
import { DeepDefenseError } from '../core/index.ts';
import { nearestName } from './edit-distance.ts';
import type { ConfigInput } from './schema.ts';

/** One preset: when to use it, and the keys that differ from the defaults. */
export interface Preset {
  readonly summary: string;
  readonly config: ConfigInput;
}

export const PRESETS: Readonly<Record<string, Preset>> = {
  smoke: {
    summary: 'a minute of cnn3 on the synthetic set: does everything work?',
    config: {
      name: 'smoke',
      data: { source: 'synthetic', trainSamples: 2000, testSamples: 500 },
      model: { name: 'cnn3' },
      train: { epochs: 1, batchSize: 64 },
      evaluation: { robustSamples: 100 },
    },
  },
  'cifar10-benchmark': {
    summary: 'vgg6 on CIFAR-10, plain training',
    config: { name: 'cifar10-benchmark', strategy: { name: 'benchmark' }, evaluation: { attacks: ['fgsm', 'pgd'] } },
  },
  'cifar10-deep': {
    summary: 'vgg6 on CIFAR-10, GFA on the first three convolutions',
    config: { name: 'cifar10-deep', strategy: { name: 'deep' }, evaluation: { attacks: ['fgsm', 'pgd'] } },
  },
  'cifar10-adversarial': {
    summary: 'vgg6 on CIFAR-10, PGD-7 training at 8/255',
    config: { name: 'cifar10-adversarial', strategy: { name: 'adversarial' }, evaluation: { attacks: ['fgsm', 'pgd'] } },
  },
};

/**
 * The preset's config.
 * @throws DeepDefenseError USAGE for a name that doesn't exist.
 */
export function presetConfig(name: string): ConfigInput {
  const preset = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  if (preset !== undefined) return preset.config;
  const nearest = nearestName(name, Object.keys(PRESETS));
  throw new DeepDefenseError('USAGE', {
    what: `no preset is named "${name}"`,
    expected: `one of ${Object.keys(PRESETS).join(', ')}`,
    ...(nearest === undefined ? {} : { todo: `did you mean "${nearest}"?` }),
  });
}
