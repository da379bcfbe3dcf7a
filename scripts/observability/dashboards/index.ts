/** @file All dashboards, and metrics that none shows. */
import type { DashboardText } from './dashboard.ts';
import { GPU_DASHBOARD } from './gpu.ts';
import { GRPC_DASHBOARD } from './grpc.ts';
import { LEDGER_DASHBOARD } from './ledger.ts';
import { NATS_DASHBOARD } from './nats.ts';
import { RUN_DASHBOARD } from './run.ts';
import { SWEEP_DASHBOARD } from './sweep.ts';
import { WORKERS_DASHBOARD } from './workers.ts';

export { buildDashboard, type DashboardText, dashboardText } from './dashboard.ts';

export const DASHBOARDS: readonly DashboardText[] = [
  RUN_DASHBOARD,
  WORKERS_DASHBOARD,
  SWEEP_DASHBOARD,
  LEDGER_DASHBOARD,
  NATS_DASHBOARD,
  GRPC_DASHBOARD,
  GPU_DASHBOARD,
];

/** Documented metrics that no dashboard shows, with the reason. */
export const UNSHOWN: Readonly<Record<string, string>> = {};
