export { type HttpEndpoint, type HttpServerOptions, type Readiness, startHttpServer } from './http-server.ts';
export { createLogger, LOG_LEVELS, type Logger, type LoggerOptions, type LogLevel } from './logger.ts';
export { METRICS, type MetricDescription, type MetricsRole, STEP_PHASES, type StepPhase } from './metric-table.ts';
export {
  type CoordinatorMetrics,
  createMetrics,
  type Metrics,
  recordGfaMetrics,
  type SweepMetrics,
  type WorkerMetrics,
} from './metrics.ts';
export { metricsDocs } from './metrics-docs.ts';
export { LogThrottle } from './log-throttle.ts';
export { createSecurityReport } from './security-report.ts';
export {
  createProgress,
  type GfaProgress,
  type ProgressOptions,
  type ProgressSink,
  type ProgressStart,
  type StepProgress,
  silentProgress,
} from './progress.ts';
