/** @file The coordinator's gRPC server: worker streams go to the pool, dataset requests to the dataset service. */
import type { SumPrecision, VectorMath } from '../core/index.ts';
import type { Dataset } from '../data/index.ts';
import type { TlsFiles } from '../security/index.ts';
import { type CoordinatorMetrics, type Logger, observeCalls } from '../telemetry/index.ts';
import { bindServer, closeServer, createCoordinatorServer, type VectorPool } from '../wire/index.ts';
import { createDatasetHandler } from './dataset-service.ts';
import type { ParameterSnapshot } from './parameter-snapshot.ts';
import type { WorkerGauges } from './worker-gauges.ts';
import type { WorkerPool } from './worker-pool.ts';
import { serveWorkerStream } from './worker-stream.ts';

export interface CoordinatorServerOptions {
  readonly host: string;
  /** Certificates of the coordinator; undefined = plain text. */
  readonly tls?: TlsFiles | undefined;
  /** 0 = any free port. */
  readonly port: number;
  readonly pool: WorkerPool<ParameterSnapshot>;
  readonly vectorLength: number;
  /** Where gradient vectors come from. */
  readonly vectors: VectorPool;
  /** Works on these vectors. */
  readonly math: VectorMath;
  /** Of gradients. */
  readonly precision: SumPrecision;
  readonly dataset: Dataset;
  readonly metrics: CoordinatorMetrics;
  readonly gauges: WorkerGauges;
  readonly logger: Logger;
}

export interface RunningServer {
  /** host:port that workers connect to. */
  readonly address: string;
  readonly port: number;
  /** Takes no new streams, lets open ones end for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/**
 * Listens.
 * @throws DeepDefenseError PORT_IN_USE, CONNECT_FAILED
 */
export async function startServer({
  host,
  port,
  tls,
  pool,
  vectorLength,
  vectors,
  math,
  precision,
  dataset,
  metrics,
  gauges,
  logger,
}: CoordinatorServerOptions): Promise<RunningServer> {
  const server = createCoordinatorServer(
    {
      work: (stream) => serveWorkerStream({ stream, pool, vectorLength, vectors, math, precision, metrics, gauges, logger }),
      fetchDataset: createDatasetHandler({ dataset, metrics, logger }),
    },
    tls,
    observeCalls(metrics),
  );
  const bound = await bindServer(server, host, port, tls);
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    close: (graceMs) => closeServer(server, graceMs),
  };
}
