/** @file What an evaluation asks, as it is written into its folder: a second call may go on there only with the same question. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AttackSpec, type Config, formatAttackSpec, type Norm } from '../config/index.ts';
import { DeepDefenseError, PACKAGE_VERSION, writeFileAtomic } from '../core/index.ts';
import { parametersHash } from './checkpoint.ts';
import { differingLeaves } from './config-difference.ts';

/** One network to evaluate. */
export interface EvaluationNetwork {
  readonly config: Config;
  /** Flat, in the order of `parameterSpecs(config.model.name)`. */
  readonly parameters: Float32Array;
}

/** Everything that the results depend on, besides the engine. */
export interface EvaluationQuestion {
  readonly networks: readonly EvaluationNetwork[];
  readonly attacks: readonly AttackSpec[];
  /** By norm, ascending, in [0,1] pixel units; at least those of the bounded attacks. */
  readonly radii: Readonly<Partial<Record<Norm, readonly number[]>>>;
  /** Indices into the test set. */
  readonly images: readonly number[];
  readonly datasetHash: string;
  readonly seed: number;
  /** Images of one compiled batch. */
  readonly batchSize: number;
  /** Try what each bounded attack made against one network on the others. */
  readonly transfer: boolean;
  /** Attack only the images that all networks classify correctly. */
  readonly onlyCorrectByAll: boolean;
  /** Images, the first so many, to measure each network on; 0 = no measurements. */
  readonly diagnosed: number;
}

export const QUESTION_FILE = 'question.json';

/**
 * Writes the question into a new folder, or compares it with the one that is there.
 * @throws DeepDefenseError CHECKPOINT_OTHER_CONFIG naming what differs; STORAGE_FAILED
 */
export async function claimFolder(folder: string, question: EvaluationQuestion): Promise<void> {
  const path = join(folder, QUESTION_FILE);
  const now = describe(question);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new DeepDefenseError('STORAGE_FAILED', { what: `can't read "${path}"`, got: error.message, fields: { path } });
  });
  if (text === undefined) return writeFileAtomic(path, `${JSON.stringify(now, undefined, 2)}\n`);
  const differences = differingLeaves(parsed(text, path), now);
  if (differences.length === 0) return;
  throw new DeepDefenseError('CHECKPOINT_OTHER_CONFIG', {
    what: `"${folder}" holds the results of another question`,
    expected: differences.map(({ key, before }) => `${key} = ${shortened(before)}`).join('; '),
    got: differences.map(({ key, now: value }) => `${key} = ${shortened(value)}`).join('; '),
    todo: 'ask the same question again to go on there, or give another folder (--out)',
    fields: { folder, keys: differences.map(({ key }) => key) },
  });
}

function describe(question: EvaluationQuestion): Record<string, unknown> {
  const { networks, attacks, radii, images, datasetHash, seed, batchSize, transfer, onlyCorrectByAll, diagnosed } = question;
  return {
    packageVersion: PACKAGE_VERSION,
    // By number, so that a message names the network that differs.
    networks: Object.fromEntries(
      networks.map(({ config, parameters }, index) => [
        String(index + 1),
        { model: config.model, weightsSha256: parametersHash(parameters) },
      ]),
    ),
    attacks: attacks.map(formatAttackSpec),
    eps: radii,
    images: { count: images.length, first: images.slice(0, 20) },
    datasetHash,
    seed,
    batchSize,
    transfer,
    onlyCorrectByAll,
    diagnosed,
  };
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new DeepDefenseError('CHECKPOINT_CORRUPT', {
      what: `"${path}" is no JSON document`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'give another folder (--out)',
      fields: { path },
    });
  }
}

function shortened(text: string): string {
  return text.length <= 120 ? text : `${text.slice(0, 117)}...`;
}
