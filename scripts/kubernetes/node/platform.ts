/** @file Installs the platform on the node, command by command as docs/kubernetes.md says. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ControlPlane } from '../api-server/control-plane.ts';
import { type Kubectl, runProgram } from '../api-server/kubectl.ts';
import { differs, type Report } from '../api-server/report.ts';
import type { NodePlace } from './node.ts';

const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const NATS = ['--host', 'nats.deepdefense.svc', '--host', '*.nats-headless.deepdefense.svc'];
const CERTIFICATES: readonly {
  readonly secret: string;
  readonly role: string;
  readonly name: string;
  readonly more?: readonly string[];
}[] = [
  { secret: 'nats-tls', role: 'nats', name: 'nats', more: NATS },
  { secret: 'deepdefense-coordinator-tls', role: 'coordinator', name: 'main' },
  { secret: 'deepdefense-worker-tls', role: 'worker', name: 'pool' },
];

export interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly phase?: string;
    readonly containerStatuses?: readonly { readonly ready: boolean; readonly restartCount: number }[];
  };
}

/** The pods that a selector finds, those on their way out left out. */
export async function podsOf(kubectl: Kubectl, selector: string): Promise<readonly Pod[]> {
  const { items } = await kubectl.get<{ readonly items: readonly Pod[] }>('pods', '--namespace', 'deepdefense', '--selector', selector);
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

export async function installPlatform({ kubectl: { admin } }: ControlPlane, { work }: NodePlace, report: Report): Promise<void> {
  const folder = join(work, 'results/node-certs');
  await runProgram('rm', ['-rf', folder]);
  const certs = (...args: readonly string[]) => must(runProgram(process.execPath, [MAIN, 'certs', ...args]));
  await certs('init', folder);
  for (const { role, name, more = [] } of CERTIFICATES) await certs('issue', folder, '--role', role, '--name', name, ...more);
  const { code, stderr } = await admin.run('apply', '-k', 'k8s/overlays/kind');
  report.check('k8s/overlays/kind is applied', code === 0 ? stderr : stderr || `exit code ${code}`);
  for (const { secret, role, name } of CERTIFICATES)
    await must(
      admin.run('create', 'secret', 'generic', secret, `--from-file=${join(folder, `${role}-${name}`)}`, '--namespace', 'deepdefense'),
    );
  await report.eventually('NATS and the pool of workers are ready', async () => {
    const all = [...(await podsOf(admin, 'app.kubernetes.io/component=nats')), ...(await podsOf(admin, 'app.kubernetes.io/instance=pool'))];
    const ready = all.filter(({ status }) => status.containerStatuses?.[0]?.ready === true);
    return differs(
      ready.map(({ metadata }) => metadata.name.replace(/(workers).*/, '$1')),
      ['nats-0', 'deepdefense-workers', 'deepdefense-workers'],
    );
  });
}

async function must(answer: ReturnType<typeof runProgram>): Promise<void> {
  const { code, stderr } = await answer;
  if (code !== 0) throw new Error(stderr);
}
