/** @file What `evaluate` does: from options to the record, its files and the printed result. */
import { join } from 'node:path';
import { type Config, type ConfigInput, loadConfig } from '../config/index.ts';
import type { EvaluationQuestion } from '../coordinator/index.ts';
import { DeepDefenseError, EXIT_CODES } from '../core/index.ts';
import { openDataset, stratifiedIndices } from '../data/index.ts';
import type { CommandTools } from './command-definition.ts';
import { clusterOf, type ConfigOptions, configFromOptions } from './config-options.ts';
import { dataProgressPrinter } from './data-progress.ts';
import { type NamedNetwork, readNetworks } from './evaluated-network.ts';
import { chooseEvaluation, type EvaluationWishes } from './evaluation-options.ts';
import { evaluationRecordOf } from './evaluation-record-of.ts';
import { evaluateHere } from './evaluation-session.ts';
import { evaluationSummary } from '../reports/index.ts';
import { writeEvaluation } from './write-evaluation.ts';
import { createRunId } from './run-id.ts';
import { checkWorkerCount } from './train-command.ts';

/** Images that each network is measured on for signs of masked gradients. */
const DIAGNOSED_IMAGES = 200;

export interface EvaluateOptions extends ConfigOptions, EvaluationWishes {
  readonly workers: number;
  readonly transfer: boolean;
  readonly onlyCorrectByAll: boolean;
  readonly out?: string;
  readonly seed: number;
  readonly batchSize: number;
}

/** Evaluates the networks of these run folders and weights files. */
export async function runEvaluateCommand(
  sources: readonly string[],
  options: EvaluateOptions,
  command: string,
  { context, setExitCode }: CommandTools,
): Promise<void> {
  const surroundings = context();
  const notice = (text: string) => surroundings.notice(text);
  const { attacks, radii, samples } = chooseEvaluation(options);
  const named = options.config !== undefined || options.preset !== undefined ? await configFromOptions(options) : undefined;
  const networks = await readNetworks(sources, named, notice);
  const config = named ?? (await surroundingConfig(options, networks));
  const shortage = checkWorkerCount(config.cluster, options.workers);
  if (shortage !== undefined) notice(shortage);
  const { source, path, label } = config.data;
  const dataset = await openDataset({ source, path, label, onProgress: dataProgressPrinter(surroundings) });
  for (const { model, datasetHash } of networks)
    if (datasetHash !== undefined && datasetHash !== dataset.contentHash)
      notice(`warning: ${model.source} was trained on other data than ${dataset.name} (content ${datasetHash.slice(0, 12)})`);
  if (options.transfer && networks.length < 2)
    throw new DeepDefenseError('USAGE', {
      what: '--transfer tries attacked images of one network on another',
      expected: 'at least two networks',
      got: String(networks.length),
    });
  const folder = options.out ?? join(config.runsFolder, createRunId('evaluation'));
  const question: EvaluationQuestion = {
    networks: networks.map(({ network }) => network),
    attacks,
    radii,
    images: stratifiedIndices(dataset.test, samples),
    datasetHash: dataset.contentHash,
    seed: options.seed,
    batchSize: options.batchSize,
    transfer: options.transfer,
    onlyCorrectByAll: options.onlyCorrectByAll,
    diagnosed: DIAGNOSED_IMAGES,
  };
  const models = networks.map(({ model }) => model);
  const { outcome, interrupted } = await evaluateHere({
    context: surroundings,
    question,
    config,
    dataset,
    folder,
    labels: models.map((model) => model.label),
    workers: options.workers,
    workerArgs: path === undefined ? [] : ['--data', path],
  });
  const record = evaluationRecordOf({
    command,
    seed: options.seed,
    dataset,
    onlyCorrectByAll: options.onlyCorrectByAll,
    models,
    attacks,
    radii,
    outcome,
  });
  const file = await writeEvaluation(record, folder);
  const lines = [evaluationSummary(record), `record ${file}`];
  if (outcome.state === 'stopped') lines.push(`stopped; the same command with --out ${folder} goes on`);
  surroundings.result({ state: outcome.state, folder, ...record }, lines.join('\n'));
  if (interrupted) setExitCode(EXIT_CODES.INTERRUPTED);
}

/** Without a config of its own, an evaluation uses the data of the first network's training. */
async function surroundingConfig(options: ConfigOptions, [first]: readonly NamedNetwork[]): Promise<Config> {
  const { data, engine, device, set } = options;
  const trained = first?.network.config.data;
  const path = data ?? trained?.path;
  const input: ConfigInput = {
    data: {
      ...(trained !== undefined && { source: trained.source }),
      ...(trained?.label !== undefined && { label: trained.label }),
      ...(path !== undefined && { path }),
    },
    engine: { ...(engine !== undefined && { name: engine }), ...(device !== undefined && { device }) },
    ...clusterOf(options),
  };
  return loadConfig({ options: input, assignments: set });
}
