/**
 * @file A sweep and a training carried through on a Kubernetes node: the platform is installed as docs/kubernetes.md says, work is submitted by
 * somebody of the group that may, pods are deleted while it goes on, and what comes out is compared with the same file without a cluster.
 *
 * Usage: scripts/check-containers.sh --only build --only node, which prepares containerd, the images and the network, and starts this.
 * Exits with 1 when a check fails.
 */
import { join } from 'node:path';
import { startControlPlane } from './api-server/control-plane.ts';
import { Report } from './api-server/report.ts';
import { type NodePlace, startNode } from './node/node.ts';
import { installPlatform } from './node/platform.ts';
import { checkPolicies, startPolicies } from './node/policies.ts';
import { carryThrough, type Work, withoutCluster } from './node/work.ts';

// The programs end with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const { NODE_ADDRESS = '', NODE_CGROUP = '', NODE_WORK = '' } = process.env;
const place: NodePlace = { address: NODE_ADDRESS, cgroup: NODE_CGROUP, work: NODE_WORK };
const SWEEP: Work = {
  file: 'examples/sweep-synthetic.yaml',
  // Long enough to be disturbed.
  settings: ['--set', 'config.data.trainSamples=5120'],
  options: [],
  isUnderWay: /at work, [1-9]/,
  spoil: ['leader', 'pool worker', 'nats'],
  command: ['sweep', '--workers', '2'],
  hash: 'decisionsSha256',
};
const TRAINING: Work = {
  file: 'scripts/containers/train.yaml',
  settings: ['--set', 'train.epochs=10'],
  options: ['--workers', '2', '--cpu', '250m'],
  isUnderWay: /2 workers are ready/,
  spoil: ['own worker', 'leader'],
  command: ['train', '--workers', '2'],
  hash: 'weightsSha256',
};

const report = new Report();
const started = performance.now();
const results = new Map<Work, unknown>();
for (const work of [SWEEP, TRAINING]) results.set(work, await withoutCluster(work));
report.section('node');
const plane = await startControlPlane();
try {
  await plane.startControllers();
  await plane.startScheduler();
  await startNode(plane, place);
  const { stdout } = await plane.kubectl.admin.run('get', 'nodes', '--output', 'wide');
  console.log(stdout.trim());
  await startPolicies(plane);
  await installPlatform(plane, place, report);
  await checkPolicies(plane, report);
  for (const [work, expected] of results) {
    report.section(work.file);
    await carryThrough(plane, work, expected, report);
  }
} finally {
  await plane.programs.keepLogs(join(place.work, 'results/node'));
  await plane.stop();
}
console.log(`\n${report.passed} passed, ${report.failed} failed, in ${Math.round((performance.now() - started) / 1000)} s`);
process.exitCode = report.failed === 0 ? 0 : 1;
