/**
 * @file Checkpoints: one safetensors file with the parameters by name, the optimiser's state and everything else that a resume
 * needs. Any safetensors reader opens it. Files are written atomically and carry a checksum of their whole content.
 */
import { readFile } from 'node:fs/promises';
import { type Config, configSchema, MODEL_NAMES, parameterSpecs } from '../config/index.ts';
import { CHECKPOINT_FORMAT, checkFormat, DeepDefenseError, PACKAGE_VERSION, sha256, sizeOf, writeFileAtomic } from '../core/index.ts';
import { decodeSafetensors, encodeSafetensors, type NamedTensor, type SafetensorsFile, schemaHash } from '../wire/index.ts';
import { differingKeys } from './config-difference.ts';

/** State of a run between two steps. */
export interface Checkpoint {
  readonly runId: string;
  /** Committed steps; the number of the next step. */
  readonly step: number;
  /** Position of the next step's first sample in the infinite sequence of epochs. */
  readonly position: number;
  /** Resolved config of the run. */
  readonly config: Config;
  /** SHA-256 of the dataset's records. */
  readonly datasetHash: string;
  /** Fingerprint of the engine that the run's arithmetic is bound to. */
  readonly engineFingerprint: string;
  /** Last journal line written before this state was taken. */
  readonly journalSequence: number;
  readonly journalHash: string;
  /** Clean test accuracy of exactly these parameters, 0..1; null when it wasn't measured. */
  readonly cleanAccuracy: number | null;
  /** Flat vector in schema order. */
  readonly parameters: Float32Array;
  readonly optimizer: {
    readonly updates: number;
    /** State vectors by slot name, in schema order. */
    readonly slots: ReadonlyMap<string, Float32Array>;
  };
}

/** What was written. */
export interface CheckpointReceipt {
  readonly path: string;
  readonly bytes: number;
  readonly seconds: number;
  /** See {@link parametersHash}. */
  readonly parametersSha256: string;
}

export interface LoadOptions {
  /** Config of the run that wants to go on. Without it only the file itself is checked. */
  readonly config?: Config;
  /** Content hash of the dataset at hand; a checkpoint of another one is refused. */
  readonly datasetHash?: string;
  /** Further keys that may differ from the checkpoint's, e.g. `train.epochs`; see config-difference.ts for those that always may. */
  readonly mayDiffer?: readonly string[];
}

const FORMAT = 'deepdefense-checkpoint-';
const OPTIMIZER_PREFIX = 'optimizer';

/** SHA-256 (hexadecimal) of the flat parameter vector's little-endian bytes: the `weightsSha256` of a result. */
export function parametersHash(parameters: Float32Array): string {
  return sha256(new Uint8Array(parameters.buffer, parameters.byteOffset, parameters.byteLength));
}

/**
 * Writes a checkpoint; a reader sees the whole file or none.
 * @throws DeepDefenseError STORAGE_FAILED
 */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<CheckpointReceipt> {
  const startedAtMs = performance.now();
  const bytes = encodeCheckpoint(checkpoint);
  await writeFileAtomic(path, bytes);
  return {
    path,
    bytes: bytes.length,
    seconds: (performance.now() - startedAtMs) / 1000,
    parametersSha256: parametersHash(checkpoint.parameters),
  };
}

/** The file's bytes. Synchronous, so that the state can't change meanwhile; equal states of one version give equal bytes. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const specs = parameterSpecs(checkpoint.config.model);
  const tensors = namedTensors(checkpoint.config, '', checkpoint.parameters);
  for (const [slot, values] of checkpoint.optimizer.slots)
    tensors.push(...namedTensors(checkpoint.config, `${OPTIMIZER_PREFIX}.${slot}.`, values));
  const metadata: Record<string, string> = {
    format: `${FORMAT}${CHECKPOINT_FORMAT}`,
    packageVersion: PACKAGE_VERSION,
    runId: checkpoint.runId,
    step: String(checkpoint.step),
    position: String(checkpoint.position),
    config: JSON.stringify(checkpoint.config),
    schemaHash: schemaHash(specs),
    datasetHash: checkpoint.datasetHash,
    engineFingerprint: checkpoint.engineFingerprint,
    journalSequence: String(checkpoint.journalSequence),
    journalHash: checkpoint.journalHash,
    cleanAccuracy: checkpoint.cleanAccuracy === null ? '' : String(checkpoint.cleanAccuracy),
    optimizer: checkpoint.config.optimizer.name,
    optimizerUpdates: String(checkpoint.optimizer.updates),
  };
  const data = tensors.map(({ value }) => new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength));
  metadata.checksum = checksum(metadata, data);
  return encodeSafetensors(tensors, metadata);
}

/**
 * Reads and checks a checkpoint.
 * @throws DeepDefenseError CHECKPOINT_MISSING; CHECKPOINT_TRUNCATED; CHECKPOINT_CORRUPT (checksum, format, missing tensors);
 * FORMAT_NEWER; CHECKPOINT_OTHER_MODEL; CHECKPOINT_OTHER_CONFIG, with the keys that differ in `fields.keys`.
 */
export async function loadCheckpoint(path: string, options: LoadOptions = {}): Promise<Checkpoint> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') throw missing(path);
    throw new DeepDefenseError('STORAGE_FAILED', {
      what: `can't read the checkpoint "${path}"`,
      got: String(cause),
      fields: { path },
      cause,
    });
  }
  const checkpoint = decodeCheckpoint(decodeSafetensors(bytes, path), path);
  checkFits(checkpoint, path, options);
  return checkpoint;
}

/** Error for a checkpoint or folder of checkpoints that isn't there. */
export function missing(path: string): DeepDefenseError {
  return new DeepDefenseError('CHECKPOINT_MISSING', {
    what: `there is no checkpoint "${path}"`,
    todo: 'name a run folder with checkpoints, or start the run anew',
    fields: { path },
  });
}

function namedTensors(config: Config, prefix: string, values: Float32Array): NamedTensor[] {
  const specs = parameterSpecs(config.model);
  const length = specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  if (values.length !== length) {
    throw new DeepDefenseError('INTERNAL', {
      what: 'a vector of another model reached the checkpoint',
      expected: `${length} values`,
      got: String(values.length),
    });
  }
  let from = 0;
  return specs.map(({ name, shape }) => {
    const data = values.subarray(from, from + sizeOf(shape));
    from += data.length;
    return { name: `${prefix}${name}`, value: { shape, dtype: 'float32', data } };
  });
}

/** SHA-256 over the metadata but the checksum itself, keys sorted, and over the tensors' bytes in order. */
function checksum(metadata: Readonly<Record<string, string>>, data: readonly Uint8Array[]): string {
  const entries = Object.entries(metadata).filter(([key]) => key !== 'checksum');
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(JSON.stringify(entries), ...data);
}

function decodeCheckpoint(file: SafetensorsFile, path: string): Checkpoint {
  const { metadata, tensors } = file;
  const { format = '' } = metadata;
  const number = format.startsWith(FORMAT) ? Number(format.slice(FORMAT.length)) : Number.NaN;
  if (!Number.isInteger(number) || number < 1)
    throw corrupt(path, `format "${FORMAT}${CHECKPOINT_FORMAT}"`, format === '' ? 'none' : `"${format}"`);
  // Not for damage: a resume would pass over it.
  checkFormat(`the checkpoint "${path}"`, number, CHECKPOINT_FORMAT);
  if (checksum(metadata, [file.data]) !== metadata.checksum) throw corrupt(path, 'content that fits its checksum', 'changed content');
  // From here on the content is what was written; what doesn't fit comes from another version.
  const text = (key: string): string => metadata[key] ?? fail(path, `metadata "${key}"`);
  const config = readConfig(text('config'));
  if (!MODEL_NAMES.includes(config.model.name))
    throw otherModel(path, config.model.name, `one of ${MODEL_NAMES.join(', ')}`, `"${config.model.name}"`);
  if (schemaHash(parameterSpecs(config.model)) !== text('schemaHash'))
    throw otherModel(path, config.model.name, 'parameters that this version has for it', 'others');
  const slotNames = new Set(
    [...tensors.keys()].filter((name) => name.startsWith(`${OPTIMIZER_PREFIX}.`)).map((name) => name.split('.')[1] as string),
  );
  const slots = new Map([...slotNames].map((slot) => [slot, flatten(config, `${OPTIMIZER_PREFIX}.${slot}.`, file, path)]));
  return {
    runId: text('runId'),
    step: Number(text('step')),
    position: Number(text('position')),
    config,
    datasetHash: text('datasetHash'),
    engineFingerprint: text('engineFingerprint'),
    journalSequence: Number(text('journalSequence')),
    journalHash: text('journalHash'),
    cleanAccuracy: text('cleanAccuracy') === '' ? null : Number(text('cleanAccuracy')),
    parameters: flatten(config, '', file, path),
    optimizer: { updates: Number(text('optimizerUpdates')), slots },
  };
}

/** With the defaults of keys that are younger than the file. */
function readConfig(json: string): Config {
  const written = JSON.parse(json) as Config;
  const parsed = configSchema.safeParse(written);
  return parsed.success ? parsed.data : written;
}

function flatten(config: Config, prefix: string, { tensors }: SafetensorsFile, path: string): Float32Array {
  const specs = parameterSpecs(config.model);
  const flat = new Float32Array(specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
  let from = 0;
  for (const { name, shape } of specs) {
    const tensor = tensors.get(`${prefix}${name}`) ?? fail(path, `tensor "${prefix}${name}"`);
    if (tensor.data.length !== sizeOf(shape))
      throw corrupt(path, `tensor "${prefix}${name}" of ${sizeOf(shape)} values`, String(tensor.data.length));
    flat.set(tensor.data, from);
    from += tensor.data.length;
  }
  return flat;
}

function checkFits(checkpoint: Checkpoint, path: string, { config, datasetHash, mayDiffer = [] }: LoadOptions): void {
  if (config !== undefined) {
    const [have, want] = [checkpoint.config.model.name, config.model.name];
    if (have !== want) throw otherModel(path, have, `model "${want}"`, `model "${have}"`);
    const keys = differingKeys(checkpoint.config, config, mayDiffer);
    if (keys.length > 0) {
      const list = keys.map(({ key, before, now }) => `${key}: ${before} in the checkpoint, ${now} now`);
      throw otherConfig(
        path,
        list.join('; '),
        keys.map(({ key }) => key),
      );
    }
  }
  if (datasetHash !== undefined && datasetHash !== checkpoint.datasetHash) {
    throw otherConfig(
      path,
      `dataset with content ${checkpoint.datasetHash.slice(0, 12)} in the checkpoint, ${datasetHash.slice(0, 12)} now`,
      ['data'],
    );
  }
}

function otherConfig(path: string, got: string, keys: readonly string[]): DeepDefenseError {
  return new DeepDefenseError('CHECKPOINT_OTHER_CONFIG', {
    what: `"${path}" belongs to a run with another config`,
    expected: 'the same values of every key that results depend on',
    got,
    todo: "resume with the run's own config, or start a new run",
    fields: { path, keys },
  });
}

function otherModel(path: string, model: string, expected: string, got: string): DeepDefenseError {
  return new DeepDefenseError('CHECKPOINT_OTHER_MODEL', {
    what: `"${path}" is a checkpoint of another model`,
    expected,
    got,
    todo: "resume with the run's own config, or start a new run",
    fields: { path, model },
  });
}

function corrupt(path: string, expected: string, got: string): DeepDefenseError {
  return new DeepDefenseError('CHECKPOINT_CORRUPT', {
    what: `"${path}" is damaged or no checkpoint`,
    expected,
    got,
    todo: 'use another checkpoint of the run',
    fields: { path },
  });
}

function fail(path: string, expected: string): never {
  throw corrupt(path, expected, 'none');
}
