/** @file Data over gRPC: whole, resumed, and of another hash. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { datasetFromRecords, readFetchedDataset } from '../../src/data/index.ts';
import { type CoordinatorClient, createCoordinatorClient, type DatasetChunk, grpcStatus } from '../../src/wire/index.ts';
import { fetchDataset } from '../../src/worker/dataset-fetch.ts';
import { TestCluster, tinyConfig, tinyDataset } from './support/cluster.ts';

let cluster: TestCluster;
let client: CoordinatorClient;
beforeEach(async () => {
  cluster = await TestCluster.create();
  client = createCoordinatorClient((await cluster.start(tinyConfig())).grpcAddress);
});
afterEach(async () => {
  client.close();
  await cluster.close();
});

const signal = new AbortController().signal;
const { contentHash } = tinyDataset;

describe('dataset service', () => {
  it('sends records that decode to the same dataset when a worker has no copy', async () => {
    const { records, header } = await fetchDataset({ client: () => client, contentHash, signal });
    expect(datasetFromRecords([records], header)).toEqual(tinyDataset);
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
    const broken: CoordinatorClient = {
      ...client,
      fetchDataset: (request) => {
        calls += 1;
        const call = client.fetchDataset(request);
        // The first transfer is cut after its first chunk.
        if (calls === 1) call.once('data', () => call.cancel());
        return call;
      },
    };
    const { records, header } = await fetchDataset({ client: () => broken, contentHash, signal });
    expect(calls).toBe(2);
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
