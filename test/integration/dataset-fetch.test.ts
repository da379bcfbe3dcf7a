/** @file Data over gRPC: whole, resumed, and of another hash. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDataset, datasetFromRecords, readFetchedDataset } from '../../src/data/index.ts';
import { type CoordinatorClient, createCoordinatorClient, type DatasetChunk, grpcStatus } from '../../src/wire/index.ts';
import { fetchDataset } from '../../src/worker/dataset-fetch.ts';
import { imageSet, TestCluster, tinyConfig } from './support/cluster.ts';

/** 3 chunks of at most 1 MiB. */
const dataset = createDataset('three chunks', imageSet(700, 1), imageSet(50, 2));

let cluster: TestCluster;
let client: CoordinatorClient;
beforeEach(async () => {
  cluster = await TestCluster.create();
  client = createCoordinatorClient((await cluster.start(tinyConfig({ train: { epochs: 0.1 } }), { dataset })).grpcAddress);
});
afterEach(async () => {
  client.close();
  await cluster.close();
});

const signal = new AbortController().signal;
const { contentHash } = dataset;

describe('dataset service', () => {
  it('sends records that decode to the same dataset when a worker has no copy', async () => {
    const { records, header } = await fetchDataset({ client: () => client, contentHash, signal });
    expect(header).toMatchObject({ name: 'three chunks', trainCount: 700, testCount: 50 });
    expect(datasetFromRecords([records], header).contentHash).toBe(contentHash);
  });

  it('goes on at the given byte when a transfer is resumed', async () => {
    const whole = await fetchDataset({ client: () => client, contentHash, signal });
    const rest: DatasetChunk[] = [];
    for await (const chunk of client.fetchDataset({ datasetHash: contentHash, offset: 100_001 })) rest.push(chunk as DatasetChunk);
    expect(rest[0]?.offset).toBe(100_001);
    expect(Buffer.concat(rest.map(({ data }) => data)).equals(whole.records.subarray(100_001))).toBe(true);
  });

  it('goes on where it was when the stream breaks in mid-transfer', async () => {
    let calls = 0;
    const offsets: number[] = [];
    const broken: CoordinatorClient = {
      ...client,
      fetchDataset: (request) => {
        calls += 1;
        offsets.push(request.offset);
        const call = client.fetchDataset(request);
        // The first transfer is cut after its first chunk.
        if (calls === 1) call.once('data', () => call.cancel());
        return call;
      },
    };
    const { records, header } = await fetchDataset({ client: () => broken, contentHash, signal });
    expect(offsets[0]).toBe(0);
    expect(offsets[1]).toBeGreaterThan(0);
    expect(offsets[1]).toBeLessThan(750 * 3073);
    expect(datasetFromRecords([records], header).contentHash).toBe(contentHash);
  });

  it('answers NOT_FOUND for another hash and the client gives up at once', async () => {
    await expect(fetchDataset({ client: () => client, contentHash: 'other', signal })).rejects.toMatchObject({
      code: 'DATA_DOWNLOAD',
      cause: { code: grpcStatus.NOT_FOUND },
    });
  });

  it('fills the cache of a worker that takes part', async () => {
    cluster.worker();
    await cluster.handle?.result;
    expect((await readFetchedDataset(`${cluster.folder}/cache`, contentHash))?.contentHash).toBe(contentHash);
  });
});
