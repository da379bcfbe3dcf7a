/** @file KEDA at work: how many Jobs of the pool it starts for a lag that Prometheus tells it of. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../test/integration/support/processes.ts';
import type { ControlPlane } from '../api-server/control-plane.ts';
import type { Kubectl } from '../api-server/kubectl.ts';
import { type Pod, setPodStatus } from '../api-server/pod-events.ts';
import { differs, type Report } from '../api-server/report.ts';
import { answers, applyOperator, createNamespace, environment, mountSecret, replaceValue } from './install.ts';
import { KUEUE } from './kueue.ts';

const NAMESPACE = 'keda';
/** Two polls, and a moment. */
const TWO_POLLS_MS = 35_000;

/** Behind Kueue. */
export async function startKeda(plane: ControlPlane): Promise<void> {
  const { kubectl, programs } = plane;
  await createNamespace(plane, NAMESPACE);
  await applyOperator(kubectl.admin, 'keda');
  // For its server of metrics, which nothing asks here; with rotation of its own it would end when it has made them, for its pod to be started again.
  const certificates = join(programs.folder, 'keda-certificates');
  await mountSecret(kubectl.admin, KUEUE.namespace, KUEUE.secret, certificates);
  const health = `127.0.0.1:${await freePort()}`;
  const metrics = `127.0.0.1:${await freePort()}`;
  const args = ['--health-probe-bind-address', health, '--metrics-bind-address', '0', '--metrics-service-bind-address', metrics];
  const env = { ...environment(plane), WATCH_NAMESPACE: '', POD_NAMESPACE: NAMESPACE, KEDA_CLUSTER_OBJECT_NAMESPACE: NAMESPACE };
  await programs.start('keda-operator', [...args, '--cert-dir', certificates], () => answers(`http://${health}/readyz`), env);
}

/** Tells Prometheus how many tasks wait and how many are under way, as NATS' exporter does: each of three servers tells of each queue. */
export class Lag {
  /** Waiting and under way, by stream; no stream, no series. */
  queues: Readonly<Record<string, readonly [waiting: number, underWay: number]>> = {};
  readonly #server = createServer((_, response) => {
    const lines = [0, 1, 2].flatMap((server) =>
      Object.entries(this.queues).flatMap(([stream, [waiting, underWay]]) => {
        const labels = `{server_id="nats-${server}",stream_name="${stream}",consumer_name="workers"}`;
        return [`jetstream_consumer_num_pending${labels} ${waiting}`, `jetstream_consumer_num_ack_pending${labels} ${underWay}`];
      }),
    );
    response.setHeader('content-type', 'text/plain; version=0.0.4');
    response.end(`${lines.join('\n')}\n`);
  });

  /** @returns host and port */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

interface Job {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly suspend?: boolean };
  readonly status?: { readonly ready?: number; readonly succeeded?: number };
}

async function jobs(admin: Kubectl): Promise<readonly Job[]> {
  const selector = ['--namespace', 'deepdefense', '--selector', 'scaledjob.keda.sh/name=deepdefense-workers'];
  return (await admin.get<{ readonly items: readonly Job[] }>('jobs', ...selector)).items;
}

/** @param prometheus its address, in place of the one in the cluster */
export async function checkScaling({ kubectl: { admin } }: ControlPlane, prometheus: string, lag: Lag, report: Report): Promise<void> {
  const change = (path: string, value: unknown) => replaceValue(admin, 'scaledjob', 'deepdefense-workers', path, value);
  report.check('the ScaledJob is told where Prometheus is', await change('/spec/triggers/0/metadata/serverAddress', prometheus));
  await report.eventually('KEDA is content with it while there is no sweep', async () => {
    const { status } = await admin.get<{
      readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[] };
    }>('scaledjob', 'deepdefense-workers', '--namespace', 'deepdefense');
    const found = Object.fromEntries((status?.conditions ?? []).map((condition) => [condition.type, condition.status]));
    return differs([found.Ready, found.Active], ['True', 'False']);
  });
  report.check('and starts nothing', differs((await jobs(admin)).length, 0));

  lag.queues = { first: [3, 0] };
  await report.eventually('three tasks wait: three Jobs', async () => differs((await jobs(admin)).length, 3));
  await report.eventually('Kueue admits them, and their workers run', async () =>
    differs(
      (await jobs(admin)).map(({ spec, status }) => [spec.suspend ?? false, status?.ready ?? 0]),
      Array.from({ length: 3 }, () => [false, 1]),
    ),
  );
  lag.queues = { first: [0, 3], second: [2, 0] };
  await report.eventually('the three are under way, and two wait in another sweep: two more', async () =>
    differs((await jobs(admin)).length, 5),
  );
  await sleep(TWO_POLLS_MS);
  report.check('two polls later there are still five', differs((await jobs(admin)).length, 5));
  lag.queues = { first: [40, 3], second: [0, 2] };
  await report.eventually('forty wait: no more Jobs than sixteen', async () => differs((await jobs(admin)).length, 16));
  await sleep(TWO_POLLS_MS);
  report.check('two polls later there are still sixteen', differs((await jobs(admin)).length, 16));

  const before = new Set((await jobs(admin)).map(({ metadata }) => metadata.name));
  report.check('the ScaledJob changes', await change('/spec/maxReplicaCount', 15));
  lag.queues = {};
  await sleep(TWO_POLLS_MS);
  report.check(
    'and the sweeps are over: no worker is ended',
    differs((await jobs(admin)).filter(({ metadata, status }) => before.has(metadata.name) && status?.ready === 1).length, 16),
  );
  await endWorkers(admin);
  await report.eventually('they end by themselves: three Jobs are kept for their logs, and none is started', async () =>
    differs(
      (await jobs(admin)).map(({ status }) => status?.succeeded),
      [1, 1, 1],
    ),
  );
}

/** As workers do that have had nothing to do for five minutes. */
async function endWorkers(admin: Kubectl): Promise<void> {
  const selector = ['--namespace', 'deepdefense', '--selector', 'scaledjob.keda.sh/name=deepdefense-workers'];
  const { items } = await admin.get<{ readonly items: readonly Pod[] }>('pods', ...selector);
  for (const pod of items) await setPodStatus(admin, pod, 'Succeeded');
}
