/** @file What happens on the compute thread: data is opened there, because reading and hashing it would hold up heartbeats, and the computer lives there. */
import type { Config, EvaluationName } from '../config/index.ts';
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
import type { BlockSum, Computer, EvaluationSum, TrainWork } from './compute.ts';

/** The part of {@link Computer} that a worker uses. */
export type ComputerLike = Pick<
  Computer,
  'fingerprint' | 'metricNames' | 'captureMs' | 'compileMs' | 'initialParameters' | 'setParameters' | 'trainBlock' | 'evaluate' | 'dispose'
>;
/** @param dataset limited to the config's numbers of samples */
export type CreateComputer = (config: Config, dataset: Dataset) => Promise<ComputerLike>;

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
  readonly #createComputer: CreateComputer;
  #last: Promise<unknown> = Promise.resolve();
  #dataset: Dataset | undefined;
  #computer: ComputerLike | undefined;

  constructor(createComputer: CreateComputer) {
    this.#createComputer = createComputer;
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
      const dataset = this.#dataset;
      if (dataset === undefined) throw new DeepDefenseError('INTERNAL', { what: 'a worker was prepared before its data' });
      await this.#computer?.dispose();
      const computer = await this.#createComputer(config, limitDataset(dataset, config.data));
      this.#computer = computer;
      const { fingerprint, metricNames, captureMs, compileMs } = computer;
      return { fingerprint, metricNames: [...metricNames], captureMs, compileMs };
    });
  }

  initialParameters(): Promise<Float32Array> {
    return this.#inTurn(() => Promise.resolve(this.#ready.initialParameters()));
  }

  setParameters(version: number, values: Float32Array): Promise<void> {
    return this.#inTurn(() => Promise.resolve(this.#ready.setParameters(version, values)));
  }

  trainBlock(work: TrainWork, block: ShardBlock): Promise<BlockSum> {
    return this.#inTurn(() => this.#ready.trainBlock(work, block));
  }

  evaluate(attack: EvaluationName, epsLinf: number, first: number, count: number): Promise<EvaluationSum> {
    return this.#inTurn(() => this.#ready.evaluate(attack, epsLinf, first, count));
  }

  dispose(): Promise<void> {
    return this.#inTurn(async () => {
      const computer = this.#computer;
      this.#computer = undefined;
      await computer?.dispose();
    });
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

function cacheOf({ cacheFolder, env }: OpenDataRequest): string {
  return cacheFolder ?? cacheFolderOf(env ?? process.env);
}
