/** @file Operators as processes of this machine: their kinds, rights and webhooks are in the cluster, their certificates in a folder. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type Manifest, parseManifests } from '../../../test/support/k8s/manifest.ts';
import type { ControlPlane } from '../api-server/control-plane.ts';
import type { Kubectl } from '../api-server/kubectl.ts';
import { build } from '../api-server/platform.ts';
import { PROGRAMS } from '../api-server/programs.ts';
import type { Report } from '../api-server/report.ts';

interface WebhookClient {
  service?: { port?: number };
}

/** How an operator finds the API server. */
export function environment({ kubeconfig }: ControlPlane): NodeJS.ProcessEnv {
  return { KUBECONFIG: kubeconfig };
}

/** Where scripts/kubernetes/build-operators.sh has put what an operator needs in the cluster. */
function manifestsOf(operator: string): string {
  return join(PROGRAMS, `operators/${operator}.yaml`);
}

/** Applies what an operator needs in the cluster. @param port of its webhooks on this machine, where it has any */
export async function applyOperator(admin: Kubectl, operator: string, port?: number): Promise<void> {
  const manifests = parseManifests(await readFile(manifestsOf(operator), 'utf8'));
  // It runs here and not in a pod; and a server of more APIs that doesn't run would keep namespaces from going.
  const wanted = manifests.filter(({ kind }) => kind !== 'Deployment' && kind !== 'APIService');
  if (port !== undefined) for (const manifest of wanted) answeredHere(manifest, port);
  const { code, stderr } = await admin.send({ apiVersion: 'v1', kind: 'List', items: wanted }, 'apply', '--server-side', '--filename', '-');
  if (code !== 0) throw new Error(`${operator}: ${stderr}`);
  const kinds = wanted.filter(({ kind }) => kind === 'CustomResourceDefinition').map(({ metadata }) => `crd/${metadata.name}`);
  const established = await admin.run('wait', '--for=condition=Established', '--timeout=60s', ...kinds);
  if (established.code !== 0) throw new Error(`${operator}: ${established.stderr}`);
}

/** The API server calls webhooks through Services. An ExternalName leads to this machine; the certificate is that of the Service all the same. */
function answeredHere(manifest: Manifest, port: number): void {
  if (manifest.kind === 'Service') Object.assign(manifest, { spec: { type: 'ExternalName', externalName: 'localhost' } });
  const { webhooks = [], spec } = manifest as unknown as {
    readonly webhooks?: readonly { readonly clientConfig: WebhookClient }[];
    readonly spec?: { readonly conversion?: { readonly webhook?: { readonly clientConfig: WebhookClient } } };
  };
  const clients = [...webhooks.map(({ clientConfig }) => clientConfig), spec?.conversion?.webhook?.clientConfig];
  for (const client of clients) if (client?.service !== undefined) client.service.port = port;
}

/** Writes a Secret of certificates to a folder, as a kubelet mounts it. Nothing happens while there is none. */
export async function mountSecret(admin: Kubectl, namespace: string, name: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { code, stdout } = await admin.run('get', 'secret', name, '--namespace', namespace, '--output', 'json');
  if (code !== 0) return;
  const { data = {} } = JSON.parse(stdout) as { readonly data?: Readonly<Record<string, string>> };
  for (const [file, text] of Object.entries(data)) await writeFile(join(folder, file), Buffer.from(text, 'base64'));
}

/** The overlay for one machine with a component. @returns its folder, outside the repository */
export async function overlayWith({ programs }: ControlPlane, component: string): Promise<string> {
  const folder = join(programs.folder, 'overlay');
  await mkdir(folder);
  const kustomization = { resources: [relative(folder, 'k8s/overlays/kind')], components: [relative(folder, component)] };
  await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
  return folder;
}

/** Applies a folder of the platform. @returns its objects */
export async function applyPlatform(admin: Kubectl, folder: string, report: Report): Promise<readonly Manifest[]> {
  const objects = await build(folder);
  const { code, stderr } = await admin.run('apply', '--server-side', '--validate=strict', '--kustomize', folder);
  report.check(`${folder}: all ${objects.length} objects are taken`, code === 0 ? stderr.trim() : stderr);
  return objects;
}

export async function createNamespace({ kubectl: { admin } }: ControlPlane, name: string): Promise<void> {
  const { code, stderr } = await admin.run('create', 'namespace', name);
  if (code !== 0) throw new Error(stderr);
}

/** Replaces one value of an object of the platform. @returns why not; empty when it is done */
export async function replaceValue(admin: Kubectl, kind: string, name: string, path: string, value: unknown): Promise<string> {
  const patch = JSON.stringify([{ op: 'replace', path, value }]);
  const { code, stderr } = await admin.run('patch', kind, name, '--namespace', 'deepdefense', '--type', 'json', '--patch', patch);
  return code === 0 ? '' : stderr;
}

/** Whether an address answers with 200. */
export function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}
