/** @file The calls of a gRPC server as metrics. */
import type { CallObserver } from '../wire/index.ts';
import type { SweepMetrics } from './metrics.ts';

/** Coordinators of runs have the same. */
export type GrpcMetrics = Pick<
  SweepMetrics,
  'grpcCalls' | 'grpcOpenCalls' | 'grpcCallSeconds' | 'grpcMessages' | 'grpcMessageBytes' | 'grpcConnections' | 'certificateNotAfter'
>;

/** Counts calls, messages and connections, and shows the end of the certificate. */
export function observeCalls(metrics: GrpcMetrics): CallObserver {
  return {
    started: (method) => metrics.grpcOpenCalls.inc({ method }),
    ended: (method, code, seconds) => {
      metrics.grpcOpenCalls.dec({ method });
      metrics.grpcCalls.inc({ method, code });
      if (seconds !== undefined) metrics.grpcCallSeconds.observe({ method }, seconds);
    },
    message: (method, direction, bytes) => {
      metrics.grpcMessages.inc({ method, direction });
      metrics.grpcMessageBytes.inc({ method, direction }, bytes);
    },
    connections: (open) => metrics.grpcConnections.set(open),
    certificate: (notAfterMs) => metrics.certificateNotAfter.set(notAfterMs / 1000),
  };
}
