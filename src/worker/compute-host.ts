/** @file What happens on the compute thread: data is opened there, because reading and hashing it would hold up heartbeats, and the computer lives there. */
import type { Config, EvaluationName, EvaluationPlan } from '../config/index.ts';
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import {
  cacheFolderOf,
  type Dataset,
  type DatasetHeader,
  datasetFromRecords,
  limitDataset,
  openDataset,
  readFetchedDataset,
  writeFetchedDataset,
} from '../data/index.ts';
import type { ShardBlock } from '../wire/index.ts';
import type { AttackComputer, AttackSum, AttackWork, DiagnosisSum, DiagnosisWork } from './attack-computer.ts';
import type { BlockSum, Computer, EvaluationSum, TrainWork } from './compute.ts';

/** The part of {@link Computer} that a worker uses. */
export type ComputerLike = Pick<
  Computer,
  'fingerprint' | 'metricNames' | 'captureMs' | 'compileMs' | 'initialParameters' | 'setParameters' | 'trainBlock' | 'evaluate' | 'dispose'
>;
/** @param dataset limited to the config's numbers of samples */
export type CreateComputer = (config: Config, dataset: Dataset) => Promise<ComputerLike>;

/** The part of {@link AttackComputer} that a worker uses. */
export type AttackComputerLike = Pick<
  AttackComputer,
  'fingerprint' | 'metricNames' | 'captureMs' | 'compileMs' | 'setParameters' | 'attack' | 'diagnose' | 'dispose'
>;
/** @param dataset whole */
export type CreateAttackComputer = (plan: EvaluationPlan, engine: Config['engine'], dataset: Dataset) => Promise<AttackComputerLike>;

/** What makes the computers of a host: of training runs, and of evaluations. */
export interface ComputerFactory {
  readonly training: CreateComputer;
  readonly attacks: CreateAttackComputer;
}

/** Where a worker looks for data. */
export interface OpenDataRequest {
  readonly source: Config['data']['source'];
  /** Content that is wanted. */
  readonly contentHash: string;
  /** Archive or folder; default: the environment, then the cache. */
  readonly path?: string | undefined;
  /** Default: from the environment. */
  readonly cacheFolder?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

export interface DataStatus {
  /** True when the wanted content is at hand. */
  readonly found: boolean;
  /** What was looked at and why it wasn't it; one line a place. */
  readonly notes: readonly string[];
}

export interface Prepared {
  readonly fingerprint: string;
  readonly metricNames: readonly string[];
  readonly captureMs: number;
  readonly compileMs: number;
}

/** Data and computer of one run. Calls are put in a row: the computer's buffers serve one at a time. */
export class ComputeHost {
  readonly #create: ComputerFactory;
  #last: Promise<unknown> = Promise.resolve();
  #dataset: Dataset | undefined;
  #computer: ComputerLike | undefined;
  #attacks: AttackComputerLike | undefined;

  constructor(create: ComputerFactory) {
    this.#create = create;
  }

  openData(request: OpenDataRequest): Promise<DataStatus> {
    return this.#inTurn(async () => {
      const notes: string[] = [];
      this.#dataset = await this.#ownCopy(request, notes);
      return { found: this.#dataset !== undefined, notes };
    });
  }

  useRecords(records: Uint8Array, header: DatasetHeader, request: OpenDataRequest): Promise<DataStatus> {
    return this.#inTurn(async () => {
      this.#dataset = datasetFromRecords([records], header);
      const notes: string[] = [];
      try {
        notes.push(`cached as "${await writeFetchedDataset(cacheOf(request), this.#dataset)}"`);
      } catch (error) {
        // A full or read-only disk costs the next start a transfer, nothing else.
        if (!isDeepDefenseError(error)) throw error;
        notes.push(`not cached: ${error.message}`);
      }
      return { found: true, notes };
    });
  }

  prepare(config: Config): Promise<Prepared> {
    return this.#inTurn(async () => {
      await this.#disposeAll();
      this.#computer = await this.#create.training(config, limitDataset(this.#data, config.data));
      return preparedOf(this.#computer);
    });
  }

  prepareEvaluation(plan: EvaluationPlan, engine: Config['engine']): Promise<Prepared> {
    return this.#inTurn(async () => {
      await this.#disposeAll();
      this.#attacks = await this.#create.attacks(plan, engine, this.#data);
      return preparedOf(this.#attacks);
    });
  }

  initialParameters(): Promise<Float32Array> {
    return this.#inTurn(() => Promise.resolve(this.#ready.initialParameters()));
  }

  setParameters(version: number, values: Float32Array): Promise<void> {
    return this.#inTurn(() => Promise.resolve((this.#attacks ?? this.#ready).setParameters(version, values)));
  }

  trainBlock(work: TrainWork, block: ShardBlock): Promise<BlockSum> {
    return this.#inTurn(() => this.#ready.trainBlock(work, block));
  }

  evaluate(attack: EvaluationName, epsLinf: number, first: number, count: number): Promise<EvaluationSum> {
    return this.#inTurn(() => this.#ready.evaluate(attack, epsLinf, first, count));
  }

  attack(work: AttackWork): Promise<AttackSum> {
    return this.#inTurn(() => this.#attacker.attack(work));
  }

  diagnose(work: DiagnosisWork): Promise<DiagnosisSum> {
    return this.#inTurn(() => this.#attacker.diagnose(work));
  }

  dispose(): Promise<void> {
    return this.#inTurn(() => this.#disposeAll());
  }

  get #attacker(): AttackComputerLike {
    if (this.#attacks === undefined) throw new DeepDefenseError('INTERNAL', { what: 'an attack came before the worker was ready' });
    return this.#attacks;
  }

  async #disposeAll(): Promise<void> {
    const computers = [this.#computer, this.#attacks];
    this.#computer = undefined;
    this.#attacks = undefined;
    for (const computer of computers) await computer?.dispose();
  }

  get #data(): Dataset {
    if (this.#dataset === undefined) throw new DeepDefenseError('INTERNAL', { what: 'a worker was prepared before its data' });
    return this.#dataset;
  }

  get #ready(): ComputerLike {
    if (this.#computer === undefined) throw new DeepDefenseError('INTERNAL', { what: 'a task came before the worker was ready' });
    return this.#computer;
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  async #ownCopy(request: OpenDataRequest, notes: string[]): Promise<Dataset | undefined> {
    const { source, contentHash, path, env } = request;
    try {
      const dataset = await openDataset({ source, path, cacheFolder: request.cacheFolder, env });
      if (dataset.contentHash === contentHash) return dataset;
      notes.push(
        `the copy found is other data: ${dataset.name}, content ${dataset.contentHash.slice(0, 12)}, wanted ${contentHash.slice(0, 12)}`,
      );
    } catch (error) {
      if (!isDeepDefenseError(error)) throw error;
      notes.push(error.message.replaceAll('\n', ';'));
    }
    return readFetchedDataset(cacheOf(request), contentHash, (error) => notes.push(error.message.replaceAll('\n', ';')));
  }
}

function preparedOf({ fingerprint, metricNames, captureMs, compileMs }: Prepared): Prepared {
  return { fingerprint, metricNames: [...metricNames], captureMs, compileMs };
}

function cacheOf({ cacheFolder, env }: OpenDataRequest): string {
  return cacheFolder ?? cacheFolderOf(env ?? process.env);
}
