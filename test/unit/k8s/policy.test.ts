import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { at, type Manifest, nameOf, parseManifests } from '../../support/k8s/manifest.ts';
import { policyProblems, RULES } from '../../support/k8s/policy.ts';
import { schemaProblems } from '../../support/k8s/schema.ts';
import { unknownFields } from '../../support/k8s/unknown-fields.ts';

const SOUND = readFileSync(new URL('../../support/k8s/sound-manifests.yaml', import.meta.url), 'utf8');
const WEB = 'StatefulSet/web';
const SPEC = 'spec.template.spec';
const CONTAINER = `${SPEC}.containers.0`;

/** The sound set with one value set, or removed where it is undefined; keys in a path are separated by dots, `~` stands for a dot. */
function broken(name: string, path: string, value: unknown): Manifest[] {
  const manifests = parseManifests(SOUND);
  const keys = path.split('.').map((key) => key.replaceAll('~', '.'));
  const last = keys.pop() as string;
  const parent = at(
    manifests.find((manifest) => nameOf(manifest) === name),
    keys,
  ) as Record<string, unknown>;
  expect(parent, `${name} has ${keys.join('.')}`).toBeDefined();
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return manifests;
}

test('policy: finds nothing in a sound set', async () => {
  const manifests = parseManifests(SOUND);
  expect(await policyProblems(manifests)).toEqual([]);
  expect((await Promise.all(manifests.map(schemaProblems))).flat()).toEqual([]);
});

const BREAKS: readonly (readonly [rule: keyof typeof RULES, name: string, path: string, value: unknown, problem: string])[] = [
  ['names are unique and in our namespace', 'Service/web', 'metadata.namespace', 'default', 'Service/web: its namespace is default'],
  [
    'names are unique and in our namespace',
    'PersistentVolumeClaim/disk',
    'kind',
    'Namespace',
    'Namespace/disk: its namespace is deepdefense',
  ],
  ['selectors match', WEB, 'spec.selector.matchLabels', { app: 'other' }, `${WEB}: its selector doesn't take its own pods`],
  [
    'selectors match',
    WEB,
    `${SPEC}.topologySpreadConstraints.0.labelSelector.matchLabels`,
    { app: 'other' },
    `${WEB}: spreading over kubernetes.io/hostname doesn't count its own pods`,
  ],
  ['selectors match', 'Service/web', 'spec.selector', { app: 'other' }, 'Service/web: its selector takes no pod'],
  [
    'selectors match',
    'NetworkPolicy/web',
    'spec.podSelector.matchLabels',
    { app: 'other' },
    'NetworkPolicy/web: its selector takes no pod',
  ],
  [
    'selectors match',
    'ServiceMonitor/web',
    'spec.selector.matchLabels',
    { app: 'other' },
    'ServiceMonitor/web: its selector takes no Service',
  ],
  ['resources are set', WEB, `${CONTAINER}.resources.limits.memory`, undefined, `${WEB}/web: no limit of memory`],
  ['resources are set', WEB, `${CONTAINER}.resources.requests.cpu`, undefined, `${WEB}/web: no request of cpu`],
  ['resources are set', WEB, `${CONTAINER}.resources.requests.memory`, '3000Mi', `${WEB}/web: the request of memory is above its limit`],
  ['resources are set', WEB, `${CONTAINER}.resources.requests.nvidia~com/gpu`, 1, `${WEB}/web: request and limit of nvidia.com/gpu differ`],
  [
    'resources are set',
    'LimitRange/all',
    'spec.limits.0.max',
    { cpu: '4', memory: '8Gi', 'nvidia.com/gpu': '8' },
    'LimitRange/all: a container that names no nvidia.com/gpu gets its maximum',
  ],
  ['pods are restricted', 'ServiceAccount/web', 'automountServiceAccountToken', true, `${WEB}: gets a token of its service account`],
  ['pods are restricted', WEB, `${SPEC}.hostNetwork`, true, `${WEB}: shares a namespace of the host`],
  [
    'pods are restricted',
    WEB,
    `${SPEC}.volumes.0`,
    { name: 'settings', hostPath: { path: '/' } },
    `${WEB}: volume "settings" is a hostPath`,
  ],
  ['pods are restricted', WEB, `${SPEC}.securityContext.runAsUser`, 0, `${WEB}/web: runAsUser is not another than root`],
  ['pods are restricted', WEB, `${SPEC}.securityContext.runAsNonRoot`, undefined, `${WEB}/web: runAsNonRoot isn't true`],
  ['pods are restricted', WEB, `${SPEC}.securityContext.seccompProfile`, undefined, `${WEB}/web: seccompProfile isn't RuntimeDefault`],
  [
    'pods are restricted',
    WEB,
    `${CONTAINER}.securityContext.allowPrivilegeEscalation`,
    undefined,
    `${WEB}/web: allowPrivilegeEscalation isn't false`,
  ],
  ['pods are restricted', WEB, `${CONTAINER}.securityContext.privileged`, true, `${WEB}/web: is privileged`],
  [
    'pods are restricted',
    WEB,
    `${CONTAINER}.securityContext.readOnlyRootFilesystem`,
    false,
    `${WEB}/web: readOnlyRootFilesystem isn't true`,
  ],
  ['pods are restricted', WEB, `${CONTAINER}.securityContext.capabilities.drop`, ['NET_RAW'], `${WEB}/web: doesn't drop ALL capabilities`],
  ['pods are restricted', WEB, `${CONTAINER}.securityContext.capabilities.add`, ['SYS_ADMIN'], `${WEB}/web: adds capabilities`],
  ['pods are restricted', WEB, `${CONTAINER}.ports.0.hostPort`, 80, `${WEB}/web: takes a port of the host`],
  [
    'the namespace is restricted',
    'Namespace/deepdefense',
    'metadata.labels.pod-security~kubernetes~io/enforce',
    'baseline',
    "Namespace/deepdefense: doesn't enforce the restricted Pod Security Standard",
  ],
  [
    'images are pinned',
    WEB,
    `${CONTAINER}.image`,
    'deepdefense/worker-cpu:latest',
    `${WEB}/web: image "deepdefense/worker-cpu:latest" names no version`,
  ],
  ['images are pinned', WEB, `${CONTAINER}.image`, 'deepdefense/worker-cpu', `${WEB}/web: image "deepdefense/worker-cpu" names no version`],
  ['probes are set', WEB, `${CONTAINER}.livenessProbe`, undefined, `${WEB}/web: no livenessProbe`],
  ['references exist', WEB, `${SPEC}.serviceAccountName`, 'other', `${WEB}: there is no ServiceAccount "other"`],
  ['references exist', WEB, `${SPEC}.priorityClassName`, undefined, `${WEB}: there is no PriorityClass "none given"`],
  ['references exist', WEB, 'spec.serviceName', 'other', `${WEB}: there is no Service "other"`],
  ['references exist', WEB, `${SPEC}.runtimeClassName`, 'other', `${WEB}: there is no RuntimeClass "other"`],
  ['references exist', WEB, `${SPEC}.volumes.0.configMap.name`, 'other', `${WEB}: there is no ConfigMap "other"`],
  [
    'references exist',
    WEB,
    `${SPEC}.volumes.1.persistentVolumeClaim.claimName`,
    'other',
    `${WEB}: there is no PersistentVolumeClaim "other"`,
  ],
  ['references exist', WEB, `${SPEC}.volumes.2.secret.secretName`, 'other', `${WEB}: there is no Secret "other"`],
  [
    'references exist',
    WEB,
    `${CONTAINER}.env.0`,
    { name: 'A', valueFrom: { secretKeyRef: { name: 'other', key: 'a' } } },
    `${WEB}: there is no Secret "other"`,
  ],
  ['references exist', WEB, `${CONTAINER}.volumeMounts.0.name`, 'other', `${WEB}/web: there is no volume "other"`],
  ['references exist', 'RoleBinding/readers', 'roleRef.name', 'other', 'RoleBinding/readers: there is no Role "other"'],
  ['references exist', 'LocalQueue/all', 'spec.clusterQueue', 'other', 'LocalQueue/all: there is no ClusterQueue "other"'],
  ['references exist', 'Issuer/authority', 'spec.ca.secretName', 'other', 'Issuer/authority: there is no Secret "other"'],
  ['references exist', 'Certificate/nats-tls', 'spec.issuerRef.name', 'other', 'Certificate/nats-tls: there is no Issuer "other"'],
  // Nobody would mount it.
  ['references exist', 'Certificate/nats-tls', 'spec.secretName', 'other', 'Certificate/nats-tls: there is no Secret "other"'],
  ['references exist', WEB, 'metadata.labels', { 'kueue.x-k8s.io/queue-name': 'other' }, `${WEB}: there is no LocalQueue "other"`],
  [
    'ports agree',
    WEB,
    `${CONTAINER}.livenessProbe.httpGet.port`,
    9465,
    `${WEB}/web: a probe asks port 9465, which the container doesn't have`,
  ],
  ['ports agree', 'Service/web', 'spec.ports.0.targetPort', 'grpc', 'Service/web: no pod behind it has the port grpc'],
  ['ports agree', 'ServiceMonitor/web', 'spec.endpoints.0.port', 'other', 'ServiceMonitor/web: no Service behind it has the port "other"'],
  ['ports agree', 'NetworkPolicy/web', 'spec.ingress.0.ports.0.port', 80, 'NetworkPolicy/web: no pod behind it has the port 80'],
  [
    'ports agree',
    'NetworkPolicy/web',
    'spec.egress',
    [{ to: [{ podSelector: { matchLabels: { 'app.kubernetes.io/component': 'web' } } }], ports: [{ port: 4222 }] }],
    'NetworkPolicy/web: no pod behind it has the port 4222',
  ],
  ['the network is closed', 'NetworkPolicy/default-deny', 'spec.policyTypes', ['Ingress'], 'no NetworkPolicy denies everything by default'],
  [
    'the network is closed',
    'NetworkPolicy/web',
    'spec.podSelector',
    { matchLabels: { app: 'other' } },
    `${WEB}: no NetworkPolicy names its pods`,
  ],
  ['the network is closed', 'NetworkPolicy/web', 'spec.ingress.0.from', [], 'NetworkPolicy/web: ingress is open to everybody'],
  ['the network is closed', 'NetworkPolicy/web', 'spec.ingress.0.ports', undefined, 'NetworkPolicy/web: ingress is open on every port'],
  ['drains end', 'PodDisruptionBudget/web', 'spec.maxUnavailable', 0, `PodDisruptionBudget/web: lets none of 2 pods of ${WEB} leave`],
  [
    'drains end',
    'PodDisruptionBudget/web',
    'spec',
    { minAvailable: '90%', selector: { matchLabels: { 'app.kubernetes.io/component': 'web' } } },
    `PodDisruptionBudget/web: lets none of 2 pods of ${WEB} leave`,
  ],
  [
    'drains end',
    'PodDisruptionBudget/web',
    'spec.selector',
    { matchLabels: { app: 'other' } },
    `${WEB}: has 0 PodDisruptionBudgets instead of one`,
  ],
  ['drains end', WEB, 'kind', 'Job', 'PodDisruptionBudget/web: lets no pod of Job/web leave, or not the last one'],
  [
    'drains end',
    'PodDisruptionBudget/web',
    'spec.unhealthyPodEvictionPolicy',
    undefined,
    "PodDisruptionBudget/web: pods that aren't ready can't be evicted (unhealthyPodEvictionPolicy)",
  ],
  ['pods have time to end', WEB, `${SPEC}.terminationGracePeriodSeconds`, undefined, `${WEB}: terminationGracePeriodSeconds is below 40`],
  [
    'command lines parse',
    WEB,
    `${CONTAINER}.args`,
    ['worker', '--swep', 'a'],
    `${WEB}/web: error: unknown option '--swep'\n(Did you mean --sweep?)`,
  ],
  ['command lines parse', WEB, `${CONTAINER}.args`, ['worker', '--http-port', 'a'], ''],
  ['command lines parse', WEB, `${CONTAINER}.command`, ['sh'], `${WEB}/web: replaces the entry point of its image`],
  ['command lines parse', WEB, `${CONTAINER}.env.0.name`, 'DEEPDEFENSE_DATE', `${WEB}/web: nobody reads DEEPDEFENSE_DATE`],
];

test.each(BREAKS)('policy "%s": names %s with another %s (%j)', async (rule, name, path, value, problem) => {
  const problems = await RULES[rule](broken(name, path, value));
  expect(problems).toEqual(expect.arrayContaining([problem === '' ? expect.stringContaining(name) : problem]));
});

test('policy: breaks each rule at least once', () => {
  expect(new Set(BREAKS.map(([rule]) => rule))).toEqual(new Set(Object.keys(RULES)));
});

test.each([
  ['a string for a number', WEB, 'spec.replicas', 'two'],
  ['a value that is none of the enum', WEB, 'spec.podManagementPolicy', 1],
  ['a missing field', 'PersistentVolumeClaim/disk', 'metadata', { name: 7 }],
  ['a field that Kueue does not have', 'LocalQueue/all', 'spec.clusterQueu', 'all'],
  ['a missing field of an operator', 'ServiceMonitor/web', 'spec.selector', undefined],
  ['a kind that does not exist', 'Service/web', 'kind', 'Servise'],
])('schema: finds %s', async (_, name, path, value) => {
  const manifests = broken(name, path, value);
  expect((await Promise.all(manifests.map(schemaProblems))).flat()).toHaveLength(1);
});

test('unknown fields: finds a misspelt one and names its document', { timeout: 120_000 }, () => {
  const manifests = broken(WEB, `${CONTAINER}.imagee`, 'x');
  expect(unknownFields(manifests)).toEqual([expect.stringMatching(/^StatefulSet\/web: .*'"imagee"' does not exist in type/)]);
});
