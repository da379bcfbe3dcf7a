/** @file Installs the platform as its documentation says, and looks at what the server makes of it. */
import { join } from 'node:path';
import { type Manifest, nameOf, parseManifests } from '../../../test/support/k8s/manifest.ts';
import type { ControlPlane } from './control-plane.ts';
import { type Kubectl, runProgram } from './kubectl.ts';
import { PROGRAMS } from './programs.ts';
import { differs, type Report } from './report.ts';

/** Kinds of KEDA, Kueue and the Prometheus operator, without the operators. */
export async function installKinds({ kubectl: { admin } }: ControlPlane, report: Report): Promise<void> {
  const { code, stdout, stderr } = await admin.run('apply', '--server-side', '--filename', join(PROGRAMS, 'kinds'));
  const names = stdout.split('\n').flatMap((line) => line.split(' ')[0] || []);
  report.check(`${names.length} kinds of operators are installed`, code === 0 ? '' : stderr);
  const established = await admin.run('wait', '--for=condition=Established', '--timeout=60s', ...names);
  report.check('they are established', established.code === 0 ? '' : established.stderr);
}

/** The objects that a folder of Kustomize makes. @throws Error with what kubectl says */
export async function build(folder: string): Promise<Manifest[]> {
  const { code, stdout, stderr } = await runProgram('kubectl', ['kustomize', folder]);
  if (code !== 0) throw new Error(stderr);
  return parseManifests(stdout);
}

/** Applies a folder twice; nothing may be refused or warned of, and the second time nothing may change. */
export async function applyFolder(admin: Kubectl, folder: string, manifests: readonly Manifest[], report: Report): Promise<void> {
  const apply = ['apply', '--server-side', '--validate=strict', '--kustomize', folder];
  const { stdout, stderr } = await admin.run(...apply);
  const applied = stdout.split('\n').filter((line) => line.endsWith(' serverside-applied')).length;
  report.check(`${folder}: all ${manifests.length} objects are taken`, stderr.trim() || differs(applied, manifests.length));
  const before = await contents(admin, manifests);
  const again = await admin.run(...apply);
  const after = await contents(admin, manifests);
  const changed = [...after.keys()].filter((name) => after.get(name) !== before.get(name));
  report.check(`${folder}: applied again, nothing changes`, again.stderr.trim() || changed.join(', '));
}

/** As people apply it without `--server-side`; nothing is kept. */
export async function applyClientSide(admin: Kubectl, folder: string, report: Report): Promise<void> {
  const { code, stderr } = await admin.run('apply', '--dry-run=server', '--kustomize', folder);
  // What the namespace is for doesn't exist yet in a dry run: only the namespace may be missing.
  const others = stderr.split('\n').filter((line) => line !== '' && !line.includes('namespaces "deepdefense" not found'));
  report.check(`${folder}: client-side apply is taken as well (dry run)`, code === 0 || others.length === 0 ? others.join('\n') : stderr);
}

/** The objects as the server has them, a text each. The number of the version is left out: it changes even where an apply writes the same. */
async function contents(admin: Kubectl, manifests: readonly Manifest[]): Promise<ReadonlyMap<string, string>> {
  const names = manifests.map((manifest) => `${manifest.kind}.${groupOf(manifest)}/${manifest.metadata.name}`);
  const { items } = await admin.get<{ readonly items: readonly Manifest[] }>(...names, '--namespace', 'deepdefense');
  return new Map(items.map((item) => [nameOf(item), JSON.stringify({ ...item, metadata: { ...item.metadata, resourceVersion: '' } })]));
}

/** VERSION.GROUP, as kubectl writes it behind a kind; that of the core has none. */
function groupOf({ apiVersion }: Manifest): string {
  const [group, version] = apiVersion.split('/');
  return version === undefined ? `${group}.` : `${version}.${group}`;
}

const ALLOWED = [
  ...['create statefulsets.apps', 'patch jobs.batch', 'create configmaps', 'create services', 'delete poddisruptionbudgets.policy'],
  ...['delete persistentvolumeclaims', 'get pods/log', 'get pods/portforward', 'create pods/portforward'],
];
const DENIED = [
  ...['get secrets', 'list secrets', 'create pods', 'create pods/exec', 'create pods/attach', 'create serviceaccounts/token'],
  ...['create deployments.apps', 'create rolebindings.rbac.authorization.k8s.io', 'patch networkpolicies.networking.k8s.io'],
];

/** What the Role of those who submit allows, and what it doesn't; and that the accounts of pods have no rights. */
export async function checkRights({ kubectl: { admin, researcher } }: ControlPlane, report: Report): Promise<void> {
  const can = async (kubectl: Kubectl, right: string, ...args: readonly string[]): Promise<boolean> => {
    const [verb = '', what = ''] = right.split(' ');
    // Behind a slash kubectl would look for a name.
    const [resource = '', subresource] = what.split('/');
    const scope = ['--namespace', 'deepdefense', ...(subresource === undefined ? [] : ['--subresource', subresource]), ...args];
    return (await kubectl.run('auth', 'can-i', verb, resource, ...scope)).stdout.trim() === 'yes';
  };
  for (const right of ALLOWED) report.check(`who submits can ${right}`, differs(await can(researcher, right), true));
  for (const right of DENIED) report.check(`who submits can't ${right}`, differs(await can(researcher, right), false));
  const elsewhere = await researcher.run('auth', 'can-i', 'create', 'statefulsets.apps', '--namespace', 'default');
  report.check("who submits can't do so in another namespace", differs(elsewhere.stdout.trim(), 'no'));
  const secrets = await researcher.run('get', 'secrets', '--namespace', 'deepdefense');
  report.check('reading Secrets is refused', secrets.stderr.includes('(Forbidden)') ? '' : secrets.stderr || 'it is not');
  for (const account of ['deepdefense-coordinator', 'deepdefense-worker', 'nats'])
    for (const right of ['get secrets', 'list pods', 'get configmaps']) {
      const as = ['--as', `system:serviceaccount:deepdefense:${account}`];
      report.check(`account ${account} can't ${right}`, differs(await can(admin, right, ...as), false));
    }
}
