export { type HttpEndpoint, type HttpServerOptions, type Readiness, startHttpServer } from './http-server.ts';
export { logProgress } from './log-progress.ts';
export {
  createLogger,
  LOG_FORMATS,
  LOG_LEVELS,
  type LogContext,
  type LogFormat,
  type Logger,
  type LoggerOptions,
  type LogLevel,
  withContext,
} from './logger.ts';
export { type ExemplarContext, ExemplarHistogram, ExemplarLabels } from './exemplars.ts';
export {
  LABELS,
  type LabelName,
  type MetricDescription,
  METRICS_ROLES,
  type MetricsRole,
  STEP_PHASES,
  type StepPhase,
} from './metric-description.ts';
export { METRICS } from './metric-table.ts';
export {
  type CoordinatorMetrics,
  createMetrics,
  createSweepWorkerMetrics,
  type Metrics,
  type MetricsText,
  recordGfaMetrics,
  type SweepMetrics,
  type SweepWorkerMetrics,
  type WorkerMetrics,
} from './metrics.ts';
export { type GrpcMetrics, observeCalls } from './grpc-metrics.ts';
export { metricsDocs } from './metrics-docs.ts';
export {
  createProgress,
  type GfaProgress,
  type ProgressOptions,
  type ProgressSink,
  type ProgressStart,
  type StepProgress,
  silentProgress,
} from './progress.ts';
