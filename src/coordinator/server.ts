/** @file The coordinator's gRPC server: worker streams go to the pool, dataset requests to the dataset service. */
import type { ClusterLimits } from '../config/index.ts';
import type { SumPrecision, VectorMath } from '../core/index.ts';
import type { Dataset } from '../data/index.ts';
import type { ReportSecurityEvent } from '../security/index.ts';
import { type CoordinatorMetrics, type Logger, observeCalls } from '../telemetry/index.ts';
import { bindServer, closeServer, createCoordinatorServer, type ServerOptions, type VectorPool } from '../wire/index.ts';
import { createDatasetHandler } from './dataset-service.ts';
import type { ParameterSnapshot } from './parameter-snapshot.ts';
import type { WorkerGauges } from './worker-gauges.ts';
import type { WorkerPool } from './worker-pool.ts';
import { serveWorkerStream } from './worker-stream.ts';

export interface CoordinatorServerOptions extends Pick<ServerOptions, 'tls' | 'acceptTokens'> {
  readonly host: string;
  /** Id of the run or evaluation, for certificates and tokens that are for one alone. */
  readonly runId: string;
  readonly limits: ClusterLimits;
  readonly report: ReportSecurityEvent;
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
  acceptTokens,
  runId,
  limits,
  report,
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
  const options: ServerOptions = { tls, acceptTokens, place: { kind: 'run', id: runId }, limits, report, observer: observeCalls(metrics) };
  const common = { pool, vectorLength, vectors, math, precision, metrics, gauges, logger, limits, report };
  const server = createCoordinatorServer(
    {
      work: (stream, { identity }) => serveWorkerStream({ ...common, stream, peer: identity }),
      fetchDataset: createDatasetHandler({ dataset, metrics, logger }),
    },
    options,
  );
  const bound = await bindServer(server, host, port, options);
  return {
    address: `${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    close: (graceMs) => closeServer(server, graceMs),
  };
}
