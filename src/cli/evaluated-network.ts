/** @file A network to evaluate, from wherever the user points, with what is known of its training. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Config, configSchema, loadConfig, type Network, resolveConfig } from '../config/index.ts';
import { type EvaluationNetwork, parametersHash } from '../coordinator/index.ts';
import type { EvaluatedModel } from '../evaluation/index.ts';
import { readWeights, type Weights } from './weights-source.ts';

export interface NamedNetwork {
  readonly network: EvaluationNetwork;
  readonly model: EvaluatedModel;
  /** Content of the dataset that it was trained on, where known. */
  readonly datasetHash: string | undefined;
}

/** What of result.json says something of the training. */
interface StoredResult {
  readonly weightsSha256?: string;
  readonly seconds?: number;
  readonly epochs?: number;
  readonly samplesPerSecond?: number;
  readonly workers?: { readonly joined?: number };
}

const UNKNOWN = 'unknown';

/**
 * Reads the networks; labels are their strategies, numbered where one comes twice.
 * @param fallback config for weights that say nothing of themselves
 * @param notice takes a line about what is unknown
 * @throws DeepDefenseError CHECKPOINT_*, CONFIG_*
 */
export async function readNetworks(
  sources: readonly string[],
  fallback: Config | undefined,
  notice: (text: string) => void,
): Promise<NamedNetwork[]> {
  const taken = new Map<string, number>();
  const networks: NamedNetwork[] = [];
  for (const source of sources) networks.push(await readNetwork(source, fallback, taken, notice));
  return networks;
}

async function readNetwork(
  source: string,
  fallback: Config | undefined,
  taken: Map<string, number>,
  notice: (text: string) => void,
): Promise<NamedNetwork> {
  const weights = await readWeights(source, fallback?.model);
  const trained = await trainingConfig(weights, fallback);
  if (trained === undefined) notice(`${source} has no config: its training loss and its seed are unknown`);
  const { network, metadata } = weights;
  if (fallback !== undefined && !isSameNetwork(fallback.model, network))
    notice(
      `warning: ${source} holds weights of ${network.name} (inputs ${network.inputRange}): the config's section model is not used for it`,
    );
  const config = trained ?? resolveConfig({ model: network });
  const strategy = trained?.strategy.name ?? metadata.strategy ?? UNKNOWN;
  const sha256 = parametersHash(weights.parameters);
  const training = await trainingOf(weights, sha256);
  const model: EvaluatedModel = {
    label: distinctLabel(strategy, taken),
    source,
    strategy,
    model: network.name,
    inputRange: network.inputRange,
    loss: trained?.objective.loss ?? UNKNOWN,
    seed: trained?.seed ?? -1,
    weightsSha256: sha256,
    ...(training !== undefined && { training }),
    config: trained === undefined ? {} : { ...trained },
  };
  const { parameters } = weights;
  return { network: { config, parameters }, model, datasetHash: metadata.datasetHash };
}

/** `deep`, then `deep-2` for the next one. */
function distinctLabel(strategy: string, taken: Map<string, number>): string {
  const count = (taken.get(strategy) ?? 0) + 1;
  taken.set(strategy, count);
  return count === 1 ? strategy : `${strategy}-${count}`;
}

/** The config in the file, of its run folder, or the one that the user names; only where it is of the same model. */
async function trainingConfig({ file, network, metadata }: Weights, fallback: Config | undefined): Promise<Config | undefined> {
  const stored = metadata.config === undefined ? undefined : configSchema.safeParse(JSON.parse(metadata.config)).data;
  const candidates = [stored, await configBeside(file), fallback];
  return candidates.find((config) => config !== undefined && isSameNetwork(config.model, network));
}

function isSameNetwork(one: Network, other: Network): boolean {
  return (['name', 'inputRange', 'norm', 'denoise'] as const).every((key) => isDeepStrictEqual(one[key], other[key]));
}

/** Weights lie in their run folder, checkpoints one folder below. */
const foldersOf = (file: string): string[] => [dirname(file), dirname(dirname(file))];

async function configBeside(file: string): Promise<Config | undefined> {
  for (const folder of foldersOf(file)) {
    const path = join(folder, 'config.yaml');
    // Any YAML file may have this name; one that is no config of ours says nothing of the weights.
    const config = await loadConfig({ file: path }).catch(() => undefined);
    if (config !== undefined) return config;
  }
  return undefined;
}

async function trainingOf({ file }: Weights, weightsSha256: string): Promise<EvaluatedModel['training']> {
  for (const folder of foldersOf(file)) {
    const text = await readFile(join(folder, 'result.json'), 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const { seconds, epochs, samplesPerSecond, workers, ...result } = parseResult(text);
    if (result.weightsSha256 !== weightsSha256 || seconds === undefined || epochs === undefined) continue;
    return { seconds, epochs, samplesPerSecond: samplesPerSecond ?? 0, workers: workers?.joined ?? 0 };
  }
  return undefined;
}

function parseResult(text: string): StoredResult {
  try {
    return JSON.parse(text) as StoredResult;
  } catch {
    return {};
  }
}
