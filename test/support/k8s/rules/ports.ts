/** @file Ports agree between containers, probes, Services, network policies and monitors. */
import { at, type Labels, type Manifest, nameOf, ofKind, type PodTemplate, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';
import { type Selector, selects } from '../selector.ts';
import { podSelectorOf, SUBMITTED_COORDINATOR } from './selectors.ts';

type Port = string | number;
/** What `deepdefense submit` makes of coordinators. */
const COORDINATOR_PORTS: readonly Port[] = ['grpc', 50051, 'http', 9464];

export const portsAgree: Rule = (manifests) => {
  const pods = podTemplates(manifests);
  const problems: string[] = [];
  for (const { owner, containers } of pods)
    for (const { name, startupProbe, readinessProbe, livenessProbe, ports = [] } of containers)
      for (const probe of [startupProbe, readinessProbe, livenessProbe]) {
        const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port ?? probe?.grpc?.port;
        if (port !== undefined && !ports.some((each) => each.name === port || each.containerPort === port))
          problems.push(`${nameOf(owner)}/${name}: a probe asks port ${port}, which the container doesn't have`);
      }
  const check = (by: Manifest, selector: Selector, port: Port | undefined) => {
    const known = portsOf(pods, selector);
    if (port === undefined || !known.includes(port)) problems.push(`${nameOf(by)}: no pod behind it has the port ${port}`);
  };
  for (const service of ofKind(manifests, 'Service'))
    for (const { port, targetPort = port } of list<{ port: Port; targetPort?: Port }>(service, ['spec', 'ports']))
      check(service, { matchLabels: at(service, ['spec', 'selector']) as Labels }, targetPort);
  for (const monitor of ofKind(manifests, 'PodMonitor'))
    for (const { port } of list<{ port?: string }>(monitor, ['spec', 'podMetricsEndpoints'])) check(monitor, podSelectorOf(monitor), port);
  for (const monitor of ofKind(manifests, 'ServiceMonitor')) {
    const services = ofKind(manifests, 'Service').filter(({ metadata }) => selects(podSelectorOf(monitor), metadata.labels ?? {}));
    const known = services.flatMap((service) => list<{ name?: string }>(service, ['spec', 'ports']).map(({ name }) => name));
    for (const { port } of list<{ port?: string }>(monitor, ['spec', 'endpoints']))
      if (port === undefined || !known.includes(port)) problems.push(`${nameOf(monitor)}: no Service behind it has the port "${port}"`);
  }
  for (const policy of ofKind(manifests, 'NetworkPolicy')) {
    for (const { ports = [] } of list<Rules>(policy, ['spec', 'ingress']))
      for (const { port } of ports) check(policy, podSelectorOf(policy), port);
    for (const { ports = [], to = [] } of list<Rules>(policy, ['spec', 'egress']))
      for (const { podSelector } of to)
        for (const { port } of podSelector === undefined ? [] : ports) check(policy, podSelector ?? {}, port);
  }
  return problems;
};

interface Rules {
  readonly ports?: readonly { readonly port?: Port }[];
  readonly to?: readonly { readonly podSelector?: Selector }[];
}

/** Names and numbers of the ports of the pods that a selector takes. */
export function portsOf(pods: readonly PodTemplate[], selector: Selector): Port[] {
  const own = pods
    .filter(({ labels }) => selects(selector, labels))
    .flatMap(({ containers }) =>
      containers.flatMap(({ ports = [] }) => ports.flatMap(({ name, containerPort }) => [name ?? '', containerPort])),
    );
  return selects(selector, SUBMITTED_COORDINATOR) ? [...own, ...COORDINATOR_PORTS] : own;
}

function list<T>(manifest: Manifest, path: readonly string[]): readonly T[] {
  return (at(manifest, path) ?? []) as readonly T[];
}
