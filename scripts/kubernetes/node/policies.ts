/** @file The network policies where they are enforced: kube-network-policies holds every packet of a pod against them. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { PACKAGE_VERSION } from '../../../src/core/index.ts';
import type { ControlPlane } from '../api-server/control-plane.ts';
import { runProgram } from '../api-server/kubectl.ts';
import type { Report } from '../api-server/report.ts';
import { NODE } from './node.ts';

/** Where a pod of the API server's would find its rights. */
const RIGHTS = '/var/run/secrets/kubernetes.io/serviceaccount';
const QUEUE = '100';
const METRICS = '127.0.0.1:9080';

interface Kubeconfig {
  readonly clusters: readonly { readonly cluster: { readonly server: string; readonly 'certificate-authority': string } }[];
  readonly users: readonly { readonly name: string; readonly user: { readonly token: string } }[];
}

/** Starts what enforces them. */
export async function startPolicies({ programs, kubeconfig }: ControlPlane): Promise<void> {
  const { clusters, users } = JSON.parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig;
  const { server = '', 'certificate-authority': authority = '' } = clusters[0]?.cluster ?? {};
  const { hostname, port } = new URL(server);
  await mkdir(RIGHTS, { recursive: true });
  await writeFile(`${RIGHTS}/token`, users.find(({ name }) => name === 'admin')?.user.token ?? '');
  await writeFile(`${RIGHTS}/ca.crt`, await readFile(authority));
  await programs.start(
    'kube-network-policies',
    ['--hostname-override', NODE, '--disable-nri', '--nfqueue-id', QUEUE, '--metrics-bind-address', METRICS],
    async () => (await fetch(`http://${METRICS}/metrics`).catch(() => undefined))?.ok === true,
    { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
  );
  // Its own rules are nftables', which can't hand packets over where the kernel has no nft_queue; iptables can. Behind the rewriting of Services.
  const rule = ['-t', 'mangle', '-A', 'FORWARD', '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'NFQUEUE', '--queue-num', QUEUE];
  const { code, stderr } = await runProgram('iptables', rule);
  if (code !== 0) throw new Error(stderr);
}

/** What a pod of the namespace reaches, by its labels. */
export async function checkPolicies({ kubectl: { admin } }: ControlPlane, report: Report): Promise<void> {
  const found = await admin.run('get', 'pod', 'nats-0', '--namespace', 'deepdefense', '--output', 'jsonpath={.status.podIP}');
  const ports: Readonly<Record<string, { readonly component: string; readonly port: number; readonly reaches: boolean }>> = {
    'a worker reaches NATS': { component: 'worker', port: 4222, reaches: true },
    'a worker does not reach the routes of NATS': { component: 'worker', port: 6222, reaches: false },
    'a worker does not reach the monitoring of NATS': { component: 'worker', port: 8222, reaches: false },
    'another pod does not reach NATS': { component: 'stranger', port: 4222, reaches: false },
  };
  const pods = Object.values(ports).map(({ component, port }, index) => probe(`probe-${index}`, component, found.stdout, port));
  const made = await admin.send({ apiVersion: 'v1', kind: 'List', items: pods }, 'create', '--filename', '-');
  if (made.code !== 0) throw new Error(made.stderr);
  for (const [index, [name, { reaches }]] of Object.entries(ports).entries())
    await report.eventually(name, async () => {
      const path = 'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}';
      const { stdout } = await admin.run('get', 'pod', `probe-${index}`, '--namespace', 'deepdefense', '--output', path);
      const expected = reaches ? CONNECTED : SILENCE;
      return stdout === String(expected) ? '' : `exit code "${stdout}", expected ${expected}`;
    });
  await admin.run('delete', 'pod', '--selector', 'deepdefense/probe', '--namespace', 'deepdefense', '--wait=false');
}

const CONNECTED = 0;
const SILENCE = 3;
const SILENCE_MS = 5000;

/** Says by its exit code whether a port answers: a refusal is neither. */
function probe(name: string, component: string, host: string, port: number): object {
  const script = `const s = net.connect(${port}, ${JSON.stringify(host)}, () => process.exit(${CONNECTED})); s.on('error', () => process.exit(1)); setTimeout(() => process.exit(${SILENCE}), ${SILENCE_MS});`;
  const labels = { 'app.kubernetes.io/name': 'deepdefense', 'app.kubernetes.io/component': component, 'deepdefense/probe': '' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'deepdefense', labels },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'probe',
          image: `deepdefense/coordinator:${PACKAGE_VERSION}`,
          command: ['node', '-e', script],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
}
