/** @file The options that commands share to name a config and its data. */
import type { Command } from 'commander';
import type { Config, ConfigInput } from '../config/index.ts';
import { collect } from './command-definition.ts';

/** Parsed values of {@link addConfigOptions}. */
export interface ConfigOptions {
  readonly config?: string;
  readonly preset?: string;
  readonly set: readonly string[];
  readonly data?: string;
}

/** Adds `-c`, `--preset`, `--set` and `--data`. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'config file in YAML, see docs/configuration.md')
    .option('--preset <name>', 'named config to start from, below the file (`config presets` lists them)')
    .option('--set <key=value>', 'override one key, for example --set train.maxSteps=100; repeatable', collect, [])
    .option('--data <path>', 'CIFAR-10: official archive or unpacked folder (else DEEPDEFENSE_DATA, the cache, a download)');
}

/** Loads the config that the options name. */
export async function configFromOptions({ config, preset, set, data }: ConfigOptions): Promise<Config> {
  const { loadConfig } = await import('../config/index.ts');
  const options: ConfigInput | undefined = data === undefined ? undefined : { data: { path: data } };
  return loadConfig({ file: config, preset, options, assignments: set });
}
