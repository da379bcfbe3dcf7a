/** @file Fetches a dataset's records from the coordinator; a transfer that breaks off goes on where it was. */
import { createHash } from 'node:crypto';
import { DeepDefenseError } from '../core/index.ts';
import type { DatasetHeader } from '../data/index.ts';
import { type CoordinatorClient, type DatasetChunk, grpcStatus, isServiceError } from '../wire/index.ts';
import { Backoff, sleep } from './backoff.ts';

export interface FetchDatasetOptions {
  /** The client to use; asked for at each attempt, because the connection may have been made anew. */
  readonly client: () => CoordinatorClient;
  readonly contentHash: string;
  readonly signal: AbortSignal;
  /** Called with bytes received so far and in all. */
  readonly onProgress?: (received: number, total: number) => void;
  /** Attempts without any progress before it gives up; default 5. */
  readonly attempts?: number;
}

interface Received {
  header: DatasetHeader | undefined;
  records: Uint8Array | undefined;
  offset: number;
}

/**
 * All records. Each chunk is checked against its SHA-256; the whole is checked by whoever decodes it.
 * @throws DeepDefenseError DATA_DOWNLOAD when it can't be had, DATA_CHECKSUM for a damaged chunk, INTERRUPTED when aborted.
 */
export async function fetchDataset(
  options: FetchDatasetOptions,
): Promise<{ readonly records: Uint8Array; readonly header: DatasetHeader }> {
  const { contentHash, signal, attempts = 5 } = options;
  const state: Received = { header: undefined, records: undefined, offset: 0 };
  const backoff = new Backoff();
  for (let failures = 0; ; ) {
    const before = state.offset;
    try {
      await fetchFrom(options, state);
      if (state.records !== undefined && state.header !== undefined && state.offset === state.records.length) {
        return { records: state.records, header: state.header };
      }
      throw new DeepDefenseError('DATA_DOWNLOAD', { what: 'the transfer of the dataset ended early', got: `${state.offset} bytes` });
    } catch (cause) {
      if (signal.aborted) throw new DeepDefenseError('INTERRUPTED', { what: 'the transfer of the dataset was interrupted', cause });
      if (cause instanceof DeepDefenseError && cause.code === 'DATA_CHECKSUM') throw cause;
      const lasting = isServiceError(cause) && (cause.code === grpcStatus.NOT_FOUND || cause.code === grpcStatus.OUT_OF_RANGE);
      if (state.offset > before) {
        failures = 0;
        backoff.reset();
      }
      failures += 1;
      if (lasting || failures >= attempts) {
        throw new DeepDefenseError('DATA_DOWNLOAD', {
          what: `can't fetch dataset ${contentHash.slice(0, 12)} from the coordinator`,
          got: isServiceError(cause) ? cause.details : cause instanceof Error ? cause.message : String(cause),
          todo: 'start the worker with --data PATH of a copy, or check the connection',
          fields: { contentHash, receivedBytes: state.offset },
          cause,
        });
      }
      await sleep(backoff.nextMs(), signal);
    }
  }
}

async function fetchFrom({ client, contentHash, signal, onProgress }: FetchDatasetOptions, state: Received): Promise<void> {
  const call = client().fetchDataset({ datasetHash: contentHash, offset: state.offset });
  const onAbort = () => call.cancel();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const chunk of call as AsyncIterable<DatasetChunk>) {
      const { offset, totalBytes, data, sha256, name, trainCount, testCount } = chunk;
      state.header ??= { name, contentHash, trainCount, testCount };
      state.records ??= new Uint8Array(totalBytes);
      if (offset !== state.offset || offset + data.length > state.records.length) {
        throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
          what: 'a part of the dataset is out of place',
          expected: `byte ${state.offset}`,
          got: `byte ${offset}`,
        });
      }
      if (!createHash('sha256').update(data).digest().equals(sha256)) {
        throw new DeepDefenseError('DATA_CHECKSUM', {
          what: `the part of the dataset at byte ${offset} was damaged on the way`,
          todo: 'start the worker again',
        });
      }
      state.records.set(data, offset);
      state.offset += data.length;
      onProgress?.(state.offset, totalBytes);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
