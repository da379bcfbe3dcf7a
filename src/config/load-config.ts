/** @file The config of one command: preset, then file, then `--set`, resolved and checked together. */
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import { presetConfig } from './presets.ts';
import { resolveConfig } from './resolve-config.ts';
import type { Config, ConfigInput } from './schema.ts';
import { applyAssignments, mergeConfigs, parseAssignment, parseYamlConfig, readYamlFile } from './yaml-source.ts';

/** Where a config comes from; later sources override earlier ones. */
export interface ConfigSources {
  /** Name of a preset (`config presets` lists them). */
  readonly preset?: string | undefined;
  /** YAML file. */
  readonly file?: string | undefined;
  /** Keys that the command's own options set, e.g. `{data: {path}}`. */
  readonly options?: ConfigInput | undefined;
  /** `section.key=value` assignments, applied in order. */
  readonly assignments?: readonly string[] | undefined;
}

/**
 * Loads and resolves a config.
 * @throws DeepDefenseError CONFIG_FILE_MISSING, CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID, CONFIG_UNKNOWN_LAYER,
 *   CONFIG_LENGTH_MISMATCH, CONFIG_BATCH_NOT_DIVISIBLE, CONFIG_TIMEOUT_ORDER; USAGE for a bad preset name or assignment.
 */
export async function loadConfig({ preset, file, options, assignments = [] }: ConfigSources): Promise<Config> {
  let input: unknown = preset === undefined ? {} : presetConfig(preset);
  if (file !== undefined) input = mergeConfigs(input, parseYamlConfig(await readConfigFile(file), file));
  input = mergeConfigs(input, options);
  input = applyAssignments(input, assignments.map(parseAssignment));
  return resolveConfig(input, file ?? (preset === undefined ? 'config' : `preset ${preset}`));
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readYamlFile(file);
  } catch (cause) {
    if (isDeepDefenseError(cause)) throw cause;
    throw new DeepDefenseError('CONFIG_FILE_MISSING', {
      what: `can't read the config file "${file}"`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'check the path; the folder examples/ holds configs to start from',
      fields: { path: file },
      cause,
    });
  }
}
