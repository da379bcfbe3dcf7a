import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics, observeCalls } from '../../../src/telemetry/index.ts';
import {
  bindServer,
  closeServer,
  createSweepClient,
  createSweepServer,
  type GrpcServer,
  type SweepHandlers,
} from '../../../src/wire/index.ts';

let server: GrpcServer | undefined;
afterEach(async () => {
  if (server !== undefined) await closeServer(server, 100);
});

describe('call observer', () => {
  it('server: counts calls by method and status, messages with their bytes, and connections', async () => {
    const metrics = createMetrics('sweep', { processMetrics: false });
    const handlers = {
      describe: async () => ({ protocolVersion: 1, packageVersion: '1', sweepId: 'x'.repeat(50), leaseMs: 1 }),
      control: async () => {
        throw new Error('broken');
      },
    } as unknown as SweepHandlers;
    server = createSweepServer(handlers, { observer: observeCalls(metrics) });
    const client = createSweepClient(`127.0.0.1:${await bindServer(server, '127.0.0.1', 0)}`);
    await client.call('describe', { protocolVersion: 1 }, 5_000);
    await client.call('describe', { protocolVersion: 1 }, 5_000);
    await expect(client.call('control', { action: 'status', candidates: 0 }, 5_000)).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    const text = await metrics.render();
    expect(text).toContain('deepdefense_grpc_server_calls_total{method="Describe",code="OK"} 2\n');
    expect(text).toContain('deepdefense_grpc_server_calls_total{method="Control",code="INTERNAL"} 1\n');
    expect(text).toContain('deepdefense_grpc_server_open_calls{method="Describe"} 0\n');
    expect(text).toContain('deepdefense_grpc_server_call_seconds_count{method="Describe"} 2\n');
    // Field 1 with the number 1 is two bytes.
    expect(text).toContain('deepdefense_grpc_server_message_bytes_total{method="Describe",direction="received"} 4\n');
    expect(Number(/message_bytes_total\{method="Describe",direction="sent"\} (\d+)/.exec(text)?.[1])).toBeGreaterThan(100);
    expect(text).toContain('deepdefense_grpc_server_connections 1\n');
    client.close();
  });
});
