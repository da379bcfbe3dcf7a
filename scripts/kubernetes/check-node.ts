/**
 * @file A sweep and a training carried through on a Kubernetes node: the platform is installed as docs/kubernetes.md says, work is submitted by
 * somebody of the group that may, pods are deleted while it goes on, and what comes out is compared with the same file without a cluster.
 *
 * Usage: scripts/check-containers.sh --only build --only node, which prepares containerd, the images and the network, and starts this.
 * Exits with 1 when a check fails.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startControlPlane } from './api-server/control-plane.ts';
import { Report } from './api-server/report.ts';
import { type NodePlace, startNode } from './node/node.ts';
import { installPlatform } from './node/platform.ts';
import { carryThrough, type Work } from './node/work.ts';

// The programs end with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const { NODE_ADDRESS = '', NODE_CGROUP = '', NODE_WORK = '' } = process.env;
const place: NodePlace = { address: NODE_ADDRESS, cgroup: NODE_CGROUP, work: NODE_WORK };
const expected = async (file: string, key: string): Promise<unknown> =>
  (JSON.parse(await readFile(join(place.work, 'results', file), 'utf8')) as Record<string, unknown>)[key];

const SWEEP: Work = {
  file: 'examples/sweep-synthetic.yaml',
  options: [],
  isUnderWay: /[2-9] measurements/,
  spoil: ['leader', 'pool worker', 'nats'],
  hash: { key: 'decisionsSha256', expected: await expected('host-sweep.json', 'decisionsSha256') },
};
const TRAINING: Work = {
  file: 'scripts/containers/train.yaml',
  options: ['--workers', '2', '--cpu', '250m'],
  isUnderWay: /step [1-9]\d/,
  spoil: ['own worker', 'leader'],
  hash: { key: 'weightsSha256', expected: await expected('host-train.json', 'weightsSha256') },
};

const report = new Report();
const started = performance.now();
report.section('node');
const plane = await startControlPlane();
try {
  await plane.startControllers();
  await plane.startScheduler();
  await startNode(plane, place);
  const { stdout } = await plane.kubectl.admin.run('get', 'nodes', '--output', 'wide');
  console.log(stdout.trim());
  await installPlatform(plane, place, report);
  report.section(SWEEP.file);
  await carryThrough(plane, SWEEP, report);
  report.section(TRAINING.file);
  await carryThrough(plane, TRAINING, report);
} finally {
  await plane.programs.keepLogs(join(place.work, 'results/node'));
  await plane.stop();
}
console.log(`\n${report.passed} passed, ${report.failed} failed, in ${Math.round((performance.now() - started) / 1000)} s`);
process.exitCode = report.failed === 0 ? 0 : 1;
