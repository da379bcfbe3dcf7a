/**
 * @file Runs the operators that the platform can work with against a real API server: Kueue, KEDA, cert-manager, and the Prometheus operator with a
 * real Prometheus; and drains nodes. kwok plays the kubelets: pods run and leave, but nothing starts in them.
 *
 * Usage: npm run build && node --import tsx scripts/kubernetes/check-operators.ts [part ...]      default: pool production certificates drains
 * Needs: scripts/kubernetes/build-control-plane.sh, scripts/kubernetes/build-operators.sh, kubectl from 1.31 on
 * Exits with 1 when a check fails, 2 on wrong usage.
 */
import { type ControlPlane, withControlPlane } from './api-server/control-plane.ts';
import { Report } from './api-server/report.ts';
import { checkCertificates } from './operators/certificates.ts';
import { checkDrains, checkLostNode, checkReturns } from './operators/drains.ts';
import { applyPlatform, overlayWith } from './operators/install.ts';
import { checkScaling, Lag, startKeda } from './operators/keda.ts';
import { checkQueuedPool, checkQueuedRuns, checkQueueIsActive, startKueue } from './operators/kueue.ts';
import { startNodes } from './operators/nodes.ts';
import { checkMonitoring, startPrometheus, startPrometheusOperator } from './operators/prometheus.ts';

const NODES = ['node-0', 'node-1', 'node-2', 'node-3'];
const PRODUCTION = 'k8s/overlays/production';

const report = new Report();

/** Each on an empty cluster of its own. */
const PARTS: Readonly<Record<string, (plane: ControlPlane) => Promise<void>>> = {
  /** The overlay for one machine with the component for Kueue. */
  pool: async (plane) => {
    await startNodes(plane, NODES);
    await startKueue(plane);
    const folder = await overlayWith(plane, 'k8s/components/kueue');
    await applyPlatform(plane.kubectl.admin, folder, report);
    await checkQueueIsActive(plane.kubectl.admin, report);
    await checkQueuedPool(plane, report);
  },
  production: async (plane) => {
    const { admin } = plane.kubectl;
    const lag = new Lag();
    try {
      await startNodes(plane, NODES);
      await startKueue(plane);
      await startKeda(plane);
      await startPrometheusOperator(plane);
      const platform = await applyPlatform(admin, PRODUCTION, report);
      await checkQueueIsActive(admin, report);
      const prometheus = await startPrometheus(plane, await lag.listen());
      await checkScaling(plane, prometheus, lag, report);
      await checkQueuedRuns(plane, report);
      await checkMonitoring(plane, prometheus, platform, report);
    } finally {
      lag.close();
    }
  },
  certificates: (plane) => checkCertificates(plane, report),
  drains: async (plane) => {
    const folder = 'k8s/overlays/gpu';
    await startNodes(plane, [...NODES, 'gpu-0', 'gpu-1']);
    await applyPlatform(plane.kubectl.admin, folder, report);
    await checkDrains(plane, report);
    await checkLostNode(plane, report);
    await checkReturns(plane, report);
  },
};

const [...wanted] = process.argv.slice(2);
const unknown = wanted.find((name) => PARTS[name] === undefined);
if (unknown !== undefined) {
  console.error(`check-operators: there is no part "${unknown}"; expected some of ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
// The programs end with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const started = performance.now();
for (const [name, part] of Object.entries(PARTS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  report.section(name);
  await withControlPlane(part);
}
console.log(`\n${report.passed} passed, ${report.failed} failed, in ${Math.round((performance.now() - started) / 1000)} s`);
process.exitCode = report.failed === 0 ? 0 : 1;
