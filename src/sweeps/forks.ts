/** @file What may vary in a sweep whose candidates take over the weights of others in mid-training (population based training). */
import type { SweepSource } from '../config/index.ts';
import { invalid } from './space.ts';

/** Keys that may change between two steps of a training: neither the weights' shape nor the optimiser's state nor the order of samples hangs on them. */
const FORKABLE_KEYS = [
  'strategy.gfa.',
  'strategy.adversarial.',
  'strategy.trades.beta',
  'strategy.mart.lambda',
  'strategy.fgsmRs.',
  'strategy.gradAlign.',
  'strategy.gradientNorm.',
  'strategy.awp.gamma',
  'objective.',
  'optimizer.learningRate',
  'optimizer.weightDecay',
  'optimizer.gradientClipNorm',
  'schedule.',
  'data.padCrop',
  'data.flip',
];
/** What a trial costs would hang on its ancestors as well. */
const NOT_FORKABLE = ['strategy.adversarial.steps'];

/** @throws DeepDefenseError CONFIG_INVALID where population based training can't be done with this sweep */
export function checkForks({ sweep }: Pick<SweepSource, 'sweep'>, epochs: readonly number[]): void {
  const { population } = sweep.scheduler;
  const flat = epochs.findIndex((each, i) => i > 0 && each <= (epochs[i - 1] as number));
  if (epochs.length < 2 || flat > 0)
    throw invalid(
      'rungs',
      'population based training chooses anew on each rung, after further training',
      'at least two rungs, each with more epochs than the one before',
      `epochs ${epochs.join(', ')}`,
      'add rungs, one for each time that the population is to choose',
    );
  if (sweep.budget.candidates < population)
    throw invalid(
      'budget.candidates',
      'budget.candidates is below the population; forks count as well',
      `at least scheduler.population = ${population}`,
      String(sweep.budget.candidates),
      'raise it, or lower scheduler.population',
    );
  if (sweep.function !== undefined) return;
  for (const key of Object.keys(sweep.space)) {
    const isForkable = FORKABLE_KEYS.some((prefix) => key === prefix || (prefix.endsWith('.') && key.startsWith(prefix)));
    if (isForkable && !NOT_FORKABLE.includes(key)) continue;
    throw invalid(
      `space.${key}`,
      `space.${key} can't change in the middle of a training, as population based training would have it`,
      `keys among ${FORKABLE_KEYS.join(', ')}, without ${NOT_FORKABLE.join(', ')}`,
      `"${key}"`,
      'fix it in the config, or take another scheduler',
    );
  }
}
