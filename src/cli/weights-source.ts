/** @file Trained weights, from wherever the user points: a run folder, a weights file or a checkpoint. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, MODEL_NAMES, modelSchema, type Network, parameterSpecs } from '../config/index.ts';
import { DeepDefenseError, sizeOf } from '../core/index.ts';
import { decodeSafetensors, type NamedTensor, type SafetensorsFile } from '../wire/index.ts';

/** Names of the averaged weights in a checkpoint begin so. */
const AVERAGE_PREFIX = 'optimizer.average.';

/** Weights with what is needed to use them. */
export interface Weights {
  /** File that they were read from. */
  readonly file: string;
  readonly network: Network;
  /** Flat, in the order of `parameterSpecs(network)`. */
  readonly parameters: Float32Array;
  /** The same by name, without optimiser state. */
  readonly tensors: readonly NamedTensor[];
  /** What the file says of itself. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads weights: of a folder its `weights.safetensors`, else its newest checkpoint.
 * @param known the network of a file that doesn't name any
 * @throws DeepDefenseError CHECKPOINT_MISSING, CHECKPOINT_TRUNCATED, CHECKPOINT_CORRUPT, CHECKPOINT_OTHER_MODEL.
 */
export async function readWeights(source: string, known?: Network): Promise<Weights> {
  const kind = await stat(source).catch(() => undefined);
  if (kind === undefined) throw missing(source);
  const file = kind.isDirectory() ? await weightsFileOf(source) : source;
  const content = decodeSafetensors(await readFile(file), file);
  const network = identify(content, file, known);
  return { file, network, ...collect(network, content, file), metadata: content.metadata };
}

async function weightsFileOf(folder: string): Promise<string> {
  const final = join(folder, 'weights.safetensors');
  if ((await stat(final).catch(() => undefined))?.isFile()) return final;
  const { loadNewestCheckpoint } = await import('../coordinator/index.ts');
  return (await loadNewestCheckpoint(join(folder, 'checkpoints'))).path;
}

/** Checkpoints carry the run's config, weights files the network; older ones only model and range, and have defaults otherwise. */
function identify({ metadata }: SafetensorsFile, file: string, known: Network | undefined): Network {
  const { config, network, model, inputRange } = metadata;
  const written =
    config !== undefined
      ? (JSON.parse(config) as Partial<Config>).model
      : network !== undefined
        ? (JSON.parse(network) as Network)
        : model === undefined
          ? known
          : { name: model, inputRange };
  const parsed = modelSchema.safeParse(written);
  if (!parsed.success || written?.name === undefined || written.inputRange === undefined) {
    throw new DeepDefenseError('CHECKPOINT_OTHER_MODEL', {
      what: `"${file}" does not say which model its weights belong to`,
      expected: `metadata with one of the models ${MODEL_NAMES.join(', ')} and its input range`,
      got: `model ${JSON.stringify(written?.name ?? null)}, input range ${JSON.stringify(written?.inputRange ?? null)}`,
      todo: 'use a file that deepdefense wrote; `evaluate` takes the model from a config (--config)',
      fields: { path: file },
    });
  }
  return parsed.data;
}

function collect(network: Network, { tensors }: SafetensorsFile, file: string): Pick<Weights, 'parameters' | 'tensors'> {
  const specs = parameterSpecs(network);
  const parameters = new Float32Array(specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
  const named: NamedTensor[] = [];
  // A checkpoint of a run that averages its weights: the average is what the run would leave.
  const prefix = specs.every(({ name }) => tensors.has(AVERAGE_PREFIX + name)) ? AVERAGE_PREFIX : '';
  let offset = 0;
  for (const { name, shape } of specs) {
    const value = tensors.get(prefix + name);
    if (value === undefined || value.dtype !== 'float32' || value.shape.join() !== shape.join()) {
      throw new DeepDefenseError('CHECKPOINT_OTHER_MODEL', {
        what: `"${file}" has other tensors than model "${network.name}"`,
        expected: `"${name}" float32 [${shape.join(', ')}]`,
        got: value === undefined ? 'no such tensor' : `${value.dtype} [${value.shape.join(', ')}]`,
        fields: { path: file, tensor: name },
      });
    }
    parameters.set(value.data, offset);
    offset += value.data.length;
    named.push({ name, value });
  }
  return { parameters, tensors: named };
}

function missing(path: string): DeepDefenseError {
  return new DeepDefenseError('CHECKPOINT_MISSING', {
    what: `there is no run folder or weights file "${path}"`,
    todo: 'name a folder below runs/ or a .safetensors file',
    fields: { path },
  });
}
