/** @file What is submitted: a sweep or a run, checked here with the schema that the cluster's coordinator will use, and its name there. */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import { type Config, loadConfig, loadSweep, resolveConfig } from '../../config/index.ts';
import { DeepDefenseError } from '../../core/index.ts';

/** A checked file, and what the objects need to know of it. */
export interface Submission {
  readonly kind: 'sweep' | 'run';
  /** Name of the sweep or run, and of its objects. */
  readonly id: string;
  /** The resolved file: every default filled in, nothing that only this machine has. */
  readonly file: string;
  /** SHA-256 of `file`, hex. */
  readonly sha256: string;
  /** False where images are made from a seed, or nothing is trained. */
  readonly needsData: boolean;
  /** Workers that a run waits for; 0 of a sweep. */
  readonly minWorkers: number;
  /** Compute workers that one worker of a sweep runs side by side. */
  readonly gang: number;
}

export interface SubmissionSource {
  readonly config: string;
  readonly set: readonly string[];
  /** Default: the file's `name`, and the first eight digits of the hash: the same file is the same sweep or run. */
  readonly id?: string | undefined;
}

/** Ports of a coordinator in the cluster. */
export const GRPC_PORT = 50051;
export const HTTP_PORT = 9464;
/** Folder of runs and sweeps in the cluster. */
export const RUNS_FOLDER = '/runs';

/** Names of objects, which have suffixes and become labels of at most 63 characters. */
const LONGEST_ID = 40;
const HASH_DIGITS = 8;
/** Pods take longer to come back than processes of one machine. */
const CLUSTER_WORKERS_LOST_MS = 600_000;

/**
 * Loads and checks a sweep file or a training config; a sweep file is one with a `space`.
 * @throws DeepDefenseError CONFIG_*, as the coordinator would; USAGE for a name that Kubernetes can't have
 */
export async function loadSubmission(source: SubmissionSource): Promise<Submission> {
  const checked = (await isSweepFile(source.config)) ? await sweepOf(source) : await runOf(source);
  const sha256 = hash('sha256', checked.file, 'hex');
  const { name, ...rest } = checked;
  const short = name.slice(0, LONGEST_ID - HASH_DIGITS - 1).replace(/-+$/, '');
  const id = source.id ?? `${/^[a-z]/.test(short) ? '' : 'x'}${short}-${sha256.slice(0, HASH_DIGITS)}`;
  checkObjectName(id);
  return { ...rest, id, sha256 };
}

/** @throws DeepDefenseError USAGE for a name that Kubernetes can't give to a Service, or that leaves no room for suffixes */
export function checkObjectName(id: string): void {
  if (id.length <= LONGEST_ID && /^[a-z]([a-z0-9-]*[a-z0-9])?$/.test(id)) return;
  throw new DeepDefenseError('USAGE', {
    what: "the name can't be one of objects in Kubernetes",
    expected: `1 to ${LONGEST_ID} lower-case letters, digits and hyphens, from a letter on and not ending in a hyphen`,
    got: `"${id}"`,
    todo: 'give another --id',
    fields: { id },
  });
}

type Checked = Omit<Submission, 'id' | 'sha256'> & { readonly name: string };

async function sweepOf({ config: file, set }: SubmissionSource): Promise<Checked> {
  const source = await loadSweep({ file, assignments: set });
  // The base file stays here: its keys become the sweep file's own.
  const { base: _, sweepsFolder: __, config: ___, ...sweep } = source.sweep;
  const trains = sweep.function === undefined;
  const base = withoutDataPath(source.base);
  return {
    kind: 'sweep',
    name: sweep.name,
    file: stringify({ ...sweep, ...(trains && { config: base }) }),
    needsData: trains && resolveConfig(base).data.source === 'cifar10',
    minWorkers: 0,
    gang: sweep.gang,
  };
}

async function runOf({ config: file, set }: SubmissionSource): Promise<Checked> {
  const config = await loadConfig({ file, assignments: set });
  const workersLostMs = Math.max(config.cluster.workersLostMs, CLUSTER_WORKERS_LOST_MS);
  const cluster: Config['cluster'] = { ...config.cluster, host: '0.0.0.0', port: GRPC_PORT, httpPort: HTTP_PORT, workersLostMs };
  return {
    kind: 'run',
    name: config.name,
    file: stringify({ ...(withoutDataPath(config) as Config), runsFolder: RUNS_FOLDER, cluster }),
    needsData: config.data.source === 'cifar10',
    minWorkers: cluster.minWorkers,
    gang: 1,
  };
}

/** Data lie elsewhere in the cluster; what they are say their hashes. */
function withoutDataPath(config: unknown): unknown {
  const { data, ...others } = config as { readonly data?: Readonly<Record<string, unknown>> };
  if (data === undefined) return config;
  const { path: _, ...lasting } = data;
  return { ...others, data: lasting };
}

/** Only sweeps have a space. A file that can't be read, or is no YAML, is refused as a config. */
async function isSweepFile(file: string): Promise<boolean> {
  try {
    const content = parse(await readFile(file, 'utf8')) as unknown;
    return typeof content === 'object' && content !== null && ('space' in content || 'objectives' in content);
  } catch {
    return false;
  }
}
