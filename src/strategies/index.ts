import type { Config } from '../config/index.ts';
import { adversarial } from './adversarial.ts';
import { alignment } from './alignment.ts';
import { awp } from './awp.ts';
import { benchmark } from './benchmark.ts';
import { denoise } from './denoise.ts';
import { fgsmRs } from './fgsm-rs.ts';
import { gaie } from './gaie.ts';
import { gradAlign } from './grad-align.ts';
import { gradientNorm } from './gradient-norm.ts';
import { mart } from './mart.ts';
import type { Strategy } from './strategy.ts';
import { trades } from './trades.ts';
import { type TrainProgram, trainProgram } from './train-program.ts';

export type { StepInputs, StepLoss, Strategy } from './strategy.ts';
export { type TrainProgram, trainProgram } from './train-program.ts';

const STRATEGIES: Readonly<Record<Config['strategy']['name'], (config: Config, shardSize: number) => Strategy>> = {
  benchmark,
  first: alignment,
  deep: alignment,
  gaie,
  'gradient-norm': gradientNorm,
  denoise,
  adversarial,
  'fgsm-rs': fgsmRs,
  'grad-align': gradAlign,
  trades,
  mart,
  awp,
};

/** The config's strategy for shards of `shardSize` samples. */
export function createStrategy(config: Config, shardSize: number): Strategy {
  return STRATEGIES[config.strategy.name](config, shardSize);
}

/** The training step of the config's strategy for shards of `shardSize` samples. */
export function createTrainProgram(config: Config, shardSize: number): TrainProgram {
  return trainProgram(config, shardSize, createStrategy(config, shardSize));
}
