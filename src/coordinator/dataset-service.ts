/** @file Streams the coordinator's dataset to workers that have no copy, from any byte on. */
import { createHash } from 'node:crypto';
import { type Dataset, datasetByteLength, datasetRecords } from '../data/index.ts';
import type { CoordinatorMetrics, Logger } from '../telemetry/index.ts';
import { CHUNK_BYTES, type CoordinatorHandlers, type DatasetChunk, grpcStatus, sendAll } from '../wire/index.ts';

export interface DatasetServiceOptions {
  /** The whole dataset, without the config's limits: its content hash is over all records. */
  readonly dataset: Dataset;
  readonly metrics: CoordinatorMetrics;
  readonly logger: Logger;
}

/** The handler of FetchDataset. Another hash is answered with NOT_FOUND, an offset beyond the end with OUT_OF_RANGE. */
export function createDatasetHandler({ dataset, metrics, logger }: DatasetServiceOptions): CoordinatorHandlers['fetchDataset'] {
  return (call) => {
    const { datasetHash, offset } = call.request;
    const totalBytes = datasetByteLength(dataset);
    if (datasetHash !== dataset.contentHash) {
      call.emit('error', { code: grpcStatus.NOT_FOUND, details: `this run uses dataset ${dataset.contentHash}, not ${datasetHash}` });
      return;
    }
    if (offset > totalBytes) {
      call.emit('error', { code: grpcStatus.OUT_OF_RANGE, details: `offset ${offset} is beyond the end, ${totalBytes}` });
      return;
    }
    function* chunks(): Generator<DatasetChunk> {
      let at = offset;
      for (const records of datasetRecords(dataset, { chunkBytes: CHUNK_BYTES, offset })) {
        const data = Buffer.from(records.buffer, records.byteOffset, records.byteLength);
        metrics.datasetBytes.inc(data.length);
        yield {
          offset: at,
          totalBytes,
          data,
          sha256: createHash('sha256').update(data).digest(),
          name: dataset.name,
          trainCount: dataset.train.count,
          testCount: dataset.test.count,
        };
        at += data.length;
      }
    }
    sendAll(call, chunks()).then(
      () => call.end(),
      (error: unknown) => logger.debug({ err: error }, 'a worker stopped fetching the dataset'),
    );
  };
}
