import type { Config } from '../config/index.ts';
import { adversarial } from './adversarial.ts';
import { alignment } from './alignment.ts';
import { benchmark } from './benchmark.ts';
import { denoise } from './denoise.ts';
import { gaie } from './gaie.ts';
import type { Strategy } from './strategy.ts';
import { type TrainProgram, trainProgram } from './train-program.ts';

export type { StepInputs, StepLoss, Strategy } from './strategy.ts';
export type { TrainProgram } from './train-program.ts';

const STRATEGIES: Readonly<Record<Config['strategy']['name'], (config: Config, shardSize: number) => Strategy>> = {
  benchmark,
  first: alignment,
  deep: alignment,
  gaie,
  denoise,
  adversarial,
};

/** The training step of the config's strategy for shards of `shardSize` samples. */
export function createTrainProgram(config: Config, shardSize: number): TrainProgram {
  return trainProgram(config, shardSize, STRATEGIES[config.strategy.name](config, shardSize));
}
