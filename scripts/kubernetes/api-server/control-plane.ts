/** @file A Kubernetes control plane on loopback: etcd, kube-apiserver with its admission plugins at their defaults, and controllers and scheduler on wish. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../../test/integration/support/processes.ts';
import { Kubectl } from './kubectl.ts';
import { Programs } from './programs.ts';

/** Who asks, each a context of the kubeconfig, with the groups that they are in. */
const USERS = {
  admin: ['system:masters'],
  /** May submit. */
  researcher: ['deepdefense:submitters'],
  /** Known to the cluster, and nothing else. */
  outsider: [],
} as const;
export type User = keyof typeof USERS;

/** An empty cluster without nodes. */
export interface ControlPlane {
  readonly kubeconfig: string;
  readonly kubectl: Readonly<Record<User, Kubectl>>;
  /** Where more of them can be started. */
  readonly programs: Programs;
  /** StatefulSets, Jobs, Deployments and disruption budgets come alive. No pod starts: there is no node. */
  startControllers(): Promise<void>;
  /** Pods get a node, where there are any. */
  startScheduler(): Promise<void>;
  /** Ends all, and removes the folder. */
  stop(): Promise<void>;
}

/** Does something on a cluster that is there for it alone. */
export async function withControlPlane(part: (plane: ControlPlane) => Promise<void>): Promise<void> {
  const plane = await startControlPlane();
  try {
    await part(plane);
  } finally {
    await plane.stop();
  }
}

/** @throws Error with the end of a program's log, when one doesn't come up */
export async function startControlPlane(): Promise<ControlPlane> {
  const programs = await Programs.create();
  const { folder } = programs;
  const kubeconfig = join(folder, 'kubeconfig');
  const kubectl = Object.fromEntries(Object.keys(USERS).map((user) => [user, new Kubectl(kubeconfig, user)])) as Record<User, Kubectl>;
  try {
    await startServer(programs, kubeconfig, kubectl.admin);
  } catch (error) {
    await programs.stop();
    throw error;
  }
  /** Starts one that works with the server. */
  const start = async (program: string, args: readonly string[], isUp: () => Promise<boolean>): Promise<void> => {
    const address = ['--bind-address', '127.0.0.1', '--secure-port', String(await freePort()), '--cert-dir', join(folder, program)];
    await programs.start(program, ['--kubeconfig', kubeconfig, '--leader-elect=false', ...address, ...args], isUp);
  };
  return {
    kubeconfig,
    kubectl,
    programs,
    startControllers: () =>
      start(
        'kube-controller-manager',
        [
          ...['--service-account-private-key-file', join(folder, 'accounts.key'), '--root-ca-file', join(folder, 'certs/apiserver.crt')],
          // No kubelet says that its node is well.
          ...['--node-monitor-grace-period', '1h'],
        ],
        // The first thing that it does with a namespace.
        async () => (await kubectl.admin.run('get', 'serviceaccount', 'default', '--namespace', 'default')).code === 0,
      ),
    // What it does shows that it is up.
    startScheduler: () => start('kube-scheduler', [], () => Promise.resolve(true)),
    stop: () => programs.stop(),
  };
}

async function startServer(programs: Programs, kubeconfig: string, admin: Kubectl): Promise<void> {
  const { folder } = programs;
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()];
  const [clients, peers] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  await writeSecrets(folder, kubeconfig, port);
  const store = [
    ...['--data-dir', join(folder, 'etcd'), '--listen-client-urls', clients, '--advertise-client-urls', clients],
    ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers, '--initial-cluster', `default=${peers}`],
  ];
  await programs.start('etcd', store, () => listens(client));
  const accounts = join(folder, 'accounts.key');
  const server = [
    ...['--etcd-servers', clients, '--bind-address', '127.0.0.1', '--advertise-address', '127.0.0.1', '--secure-port', String(port)],
    ...['--cert-dir', join(folder, 'certs'), '--service-cluster-ip-range', '10.0.0.0/24', '--endpoint-reconciler-type', 'none'],
    ...['--service-account-issuer', 'https://kubernetes.default.svc', '--service-account-key-file', accounts],
    ...['--service-account-signing-key-file', accounts, '--token-auth-file', join(folder, 'tokens.csv'), '--authorization-mode', 'RBAC'],
    // A node has an address here and no name that DNS knows.
    ...['--kubelet-preferred-address-types', 'InternalIP'],
    // Privileged pods are then for Pod Security to refuse, namespace by namespace.
    '--allow-privileged=true',
  ];
  await programs.start('kube-apiserver', server, async () => (await admin.run('get', '--raw', '/readyz')).code === 0);
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.once('connect', () => socket.destroy());
    socket.once('error', () => resolve(false));
  });
}

/** Key of service accounts, a token for each user, and the kubeconfig, which is JSON. The server makes its own certificate. */
async function writeSecrets(folder: string, kubeconfig: string, port: number): Promise<void> {
  const mode = 0o600;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(join(folder, 'accounts.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode });
  const users = Object.entries(USERS).map(([name, groups]) => ({ name, groups, token: randomBytes(24).toString('hex') }));
  const lines = users.map(({ name, groups, token }) => `${token},${name},${name},"${groups.join(',')}"\n`);
  await writeFile(join(folder, 'tokens.csv'), lines.join(''), { mode });
  const cluster = { server: `https://127.0.0.1:${port}`, 'certificate-authority': join(folder, 'certs/apiserver.crt') };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'local', cluster }],
    users: users.map(({ name, token }) => ({ name, user: { token } })),
    contexts: users.map(({ name }) => ({ name, context: { cluster: 'local', user: name, namespace: 'deepdefense' } })),
    'current-context': 'admin',
  };
  await writeFile(kubeconfig, JSON.stringify(config), { mode });
}
