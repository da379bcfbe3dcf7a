/** @file A gRPC call from this process to itself, over the real protocol. */
import { createHash, randomBytes } from 'node:crypto';
import type { Check } from './doctor-checks.ts';

const PAYLOAD_BYTES = 1024 * 1024;

/** Starts a server on a free loopback port, fetches a chunk of 1 MiB through it and compares the bytes' hash. */
export const grpcCheck: Check = {
  name: 'gRPC self-test',
  exit: 'NETWORK',
  async run() {
    const { bindServer, closeServer, createCoordinatorClient, createCoordinatorServer } = await import('../wire/index.ts');
    const startedMs = performance.now();
    const data = randomBytes(PAYLOAD_BYTES);
    const server = createCoordinatorServer({
      work: (call) => call.end(),
      fetchDataset: (call) => {
        const sha256 = createHash('sha256').update(data).digest();
        call.write({ offset: 0, totalBytes: data.length, data, sha256, name: 'self-test', trainCount: 0, testCount: 0 });
        call.end();
      },
    });
    const port = await bindServer(server, '127.0.0.1', 0);
    const client = createCoordinatorClient(`127.0.0.1:${port}`);
    try {
      await client.waitUntilConnected(5000);
      let bytes = 0;
      let intact = false;
      for await (const chunk of client.fetchDataset({ datasetHash: 'self-test', offset: 0 }) as AsyncIterable<{
        data: Buffer;
        sha256: Buffer;
      }>) {
        bytes += chunk.data.length;
        intact = createHash('sha256').update(chunk.data).digest().equals(chunk.sha256);
      }
      const tookMs = Math.round(performance.now() - startedMs);
      if (bytes !== PAYLOAD_BYTES || !intact)
        return { state: 'failed', detail: `sent ${PAYLOAD_BYTES} bytes, ${bytes} came back, intact: ${intact}` };
      return { state: 'ok', detail: `1 MiB went over 127.0.0.1:${port} intact (${tookMs} ms)` };
    } finally {
      client.close();
      await closeServer(server, 100);
    }
  },
};
