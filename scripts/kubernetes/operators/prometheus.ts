/** @file The Prometheus operator at work: from monitors and rules to a configuration, with which a real Prometheus finds the pods and loads the rules. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { freePort } from '../../../test/integration/support/processes.ts';
import type { Manifest } from '../../../test/support/k8s/manifest.ts';
import type { ControlPlane } from '../api-server/control-plane.ts';
import { differs, type Report } from '../api-server/report.ts';
import { RUN, submit } from '../api-server/submissions.ts';
import { answers, applyOperator, createNamespace, environment } from './install.ts';

const NAMESPACE = 'monitoring';
const RULES_FOLDER = '/etc/prometheus/rules/';

export async function startPrometheusOperator(plane: ControlPlane): Promise<void> {
  await applyOperator(plane.kubectl.admin, 'prometheus-operator');
  const address = `127.0.0.1:${await freePort()}`;
  const args = ['--web.listen-address', address, '--kubelet-service', '', '--kubelet-endpoints=false'];
  await plane.programs.start('prometheus-operator', args, () => answers(`http://${address}/healthz`), environment(plane));
}

/**
 * Asks the operator for a Prometheus that takes every monitor and rule, and starts one with what the operator makes of it.
 * @param lag where the lag of the task queues is told, in place of NATS' exporter, whose pods answer nothing here
 * @returns its address
 */
export async function startPrometheus(plane: ControlPlane, lag: string): Promise<string> {
  const { admin } = plane.kubectl;
  await createNamespace(plane, NAMESPACE);
  const { clusters, users } = await clusterOf(plane);
  const folder = join(plane.programs.folder, 'prometheus');
  await mkdir(join(folder, 'rules'), { recursive: true });
  const token = join(folder, 'token');
  await writeFile(token, users[0]?.user.token ?? '', { mode: 0o600 });
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'lag', namespace: NAMESPACE },
    stringData: {
      'lag.yaml': `- {job_name: lag, scrape_interval: 1s, static_configs: [{targets: ["${lag}"], labels: {namespace: deepdefense}}]}`,
    },
  };
  const prometheus = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'Prometheus',
    metadata: { name: 'all', namespace: NAMESPACE },
    spec: {
      version: 'v3.5.0',
      ...Object.fromEntries(
        ['serviceMonitor', 'podMonitor', 'rule'].flatMap((kind) => [`${kind}Selector`, `${kind}NamespaceSelector`].map((key) => [key, {}])),
      ),
      apiserverConfig: {
        host: clusters[0]?.cluster.server,
        authorization: { credentialsFile: token },
        tlsConfig: { insecureSkipVerify: true },
      },
      additionalScrapeConfigs: { name: 'lag', key: 'lag.yaml' },
    },
  };
  const { code, stderr } = await admin.send({ apiVersion: 'v1', kind: 'List', items: [secret, prometheus] }, 'apply', '--filename', '-');
  if (code !== 0) throw new Error(stderr);
  const config = join(folder, 'prometheus.yml');
  const port = await freePort();
  const args = ['--config.file', config, '--storage.tsdb.path', join(folder, 'data'), '--web.listen-address', `127.0.0.1:${port}`];
  await writeConfiguration(plane, config, join(folder, 'rules/'));
  await plane.programs.start('prometheus', args, () => answers(`http://127.0.0.1:${port}/-/ready`));
  return `http://127.0.0.1:${port}`;
}

async function clusterOf({ kubectl: { admin } }: ControlPlane) {
  const { stdout } = await admin.run('config', 'view', '--raw', '--output', 'json');
  return JSON.parse(stdout) as {
    readonly clusters: readonly { readonly cluster: { readonly server: string } }[];
    readonly users: readonly { readonly user: { readonly token: string } }[];
  };
}

/** Waits for what the operator has written for its Prometheus, and puts it into files. */
async function writeConfiguration({ kubectl: { admin } }: ControlPlane, config: string, rules: string): Promise<void> {
  await admin.run('wait', '--for=create', '--timeout=60s', 'secret/prometheus-all', '--namespace', NAMESPACE);
  const { data } = await admin.get<{ readonly data: Readonly<Record<string, string>> }>(
    'secret',
    'prometheus-all',
    '--namespace',
    NAMESPACE,
  );
  const text = gunzipSync(Buffer.from(data['prometheus.yaml.gz'] ?? '', 'base64')).toString();
  // The operator's own sidecar fills in which of several Prometheus this is.
  await writeFile(config, text.replaceAll(RULES_FOLDER, rules).replaceAll('$(SHARD)', '0').replaceAll('$(POD_NAME)', 'prometheus-all-0'));
  const selector = ['--namespace', NAMESPACE, '--selector', 'prometheus-name=all'];
  const { items } = await admin.get<{ readonly items: readonly (Manifest & { readonly data: Readonly<Record<string, string>> })[] }>(
    'configmaps',
    ...selector,
  );
  for (const map of items) {
    await mkdir(join(rules, map.metadata.name), { recursive: true });
    for (const [file, rule] of Object.entries(map.data)) await writeFile(join(rules, map.metadata.name, file), rule);
  }
}

interface RuleGroups {
  readonly groups: readonly {
    readonly rules: readonly { readonly name: string; readonly type: string; readonly health: string; readonly lastError?: string }[];
  }[];
}
interface Targets {
  readonly activeTargets: readonly {
    readonly scrapePool: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly scrapeUrl: string;
  }[];
}

/** What Prometheus has loaded and found. @param platform as it was applied */
export async function checkMonitoring(plane: ControlPlane, url: string, platform: readonly Manifest[], report: Report): Promise<void> {
  const { admin } = plane.kubectl;
  const ask = async <T>(path: string) => ((await (await fetch(`${url}/api/v1/${path}`)).json()) as { readonly data: T }).data;
  const expected = rulesOf(platform);
  await report.eventually(`Prometheus has all ${expected.length} rules of the platform, and evaluates each without an error`, async () => {
    const rules = (await ask<RuleGroups>('rules')).groups.flatMap((group) => group.rules);
    const bad = rules.filter(({ health }) => health !== 'ok').map(({ name, health, lastError }) => `${name} ${health} ${lastError ?? ''}`);
    return bad.join(', ') || differs(rules.map(({ name }) => name).sort(), expected);
  });
  const targets = async (pool: string) =>
    (await ask<Targets>('targets?state=active')).activeTargets.filter(({ scrapePool }) => scrapePool.startsWith(pool));
  const podsOf = async (components: string) => {
    const running = ['--field-selector', 'status.phase=Running'];
    const selector = ['--namespace', 'deepdefense', ...running, '--selector', `app.kubernetes.io/component in (${components})`];
    const { items } = await admin.get<{ readonly items: readonly Manifest[] }>('pods', ...selector);
    return items.map(({ metadata }) => metadata.name).sort();
  };
  const { document, stdout } = await submit(plane, 'researcher', '-c', RUN, '--id', 'scraped');
  report.check('a run is submitted', document.state === 'submitted' ? '' : stdout);
  for (const [what, pool, components, port, count] of [
    ['coordinators and workers', 'podMonitor/deepdefense/deepdefense', 'coordinator,worker', 9464, 3],
    ['NATS servers', 'serviceMonitor/deepdefense/nats', 'nats', 7777, 3],
  ] as const)
    await report.eventually(`it scrapes the ${what}, each pod once, at port ${port}`, async () => {
      const found = await targets(pool);
      const wrong = found.filter(({ scrapeUrl, labels }) => new URL(scrapeUrl).port !== `${port}` || labels.namespace !== 'deepdefense');
      if (wrong.length > 0) return JSON.stringify(wrong[0]);
      const pods = found.map(({ labels }) => labels.pod ?? '').sort();
      return differs([pods.length, pods], [count, await podsOf(components)]);
    });
}

/** Names of alerts and records, sorted. */
function rulesOf(platform: readonly Manifest[]): readonly string[] {
  const all = platform.filter(({ kind }) => kind === 'PrometheusRule') as unknown as readonly {
    readonly spec: { readonly groups: readonly { readonly rules: readonly { readonly alert?: string; readonly record?: string }[] }[] };
  }[];
  return all.flatMap(({ spec }) => spec.groups.flatMap(({ rules }) => rules.map(({ alert, record }) => alert ?? record ?? ''))).sort();
}
