/** @file The component cert-manager, with cert-manager's controllers: our programs take what is in the Secrets, also when it is renewed. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { ROLES } from '../../../src/core/index.ts';
import { authorise, identityOf, loadTlsFiles, type TlsFiles } from '../../../src/security/index.ts';
import { SECRETS } from '../../../test/support/k8s/certificates.ts';
import type { ControlPlane } from '../api-server/control-plane.ts';
import type { Kubectl } from '../api-server/kubectl.ts';
import { differs, type Report } from '../api-server/report.ts';
import { applyOperator, applyPlatform, overlayWith } from './install.ts';

const NAMESPACE = ['--namespace', 'deepdefense'];
const AUTHORITY = 'deepdefense-ca';
const COORDINATOR = 'deepdefense-coordinator-tls';
const WORKER = 'deepdefense-worker-tls';
/** Whom worker and coordinator see. */
const BOTH = ['coordinator', 'worker'];

interface Secret {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

/** Needs cert-manager-controller and its kinds. Its webhook doesn't run: what that one would refuse the schemas of the kinds may take. */
export async function checkCertificates(plane: ControlPlane, report: Report): Promise<void> {
  const { admin } = plane.kubectl;
  await applyOperator(admin, 'cert-manager');
  await applyPlatform(admin, await overlayWith(plane, 'k8s/components/cert-manager'), report);
  // What it makes of the Certificates shows that it is up.
  await plane.programs.start('cert-manager-controller', ['--kubeconfig', plane.kubeconfig], () => Promise.resolve(true));
  await report.eventually('the authority and all certificates are ready', () => unready(admin));

  const folder = join(plane.programs.folder, 'secrets');
  const fetch = (secret: string) => fetchSecret(admin, secret, folder);
  const first = new Map<string, TlsFiles>();
  for (const secret of Object.keys(SECRETS)) {
    const files = await fetch(secret);
    first.set(secret, files);
    report.check(`${secret}: may act in its role alone`, rolesOf(secret, files));
    report.check(`${secret}: is what \`certs issue\` makes`, shapeOf(files));
  }
  const [coordinator, worker] = [first.get(COORDINATOR), first.get(WORKER)];
  if (coordinator === undefined || worker === undefined) throw new Error('no certificates to go on with');
  report.check('a worker and a coordinator take each other', differs(await handshake(coordinator, worker), BOTH));

  await renew(admin, WORKER, report);
  report.check('it has another key', (await fetch(WORKER)).key.equals(worker.key) ? 'the same' : '');

  await renew(admin, AUTHORITY, report);
  await refill(admin, [COORDINATOR], report);
  const after = await fetch(COORDINATOR);
  report.check('it was signed by the renewed authority', after.authority.equals(coordinator.authority) ? 'by the old one' : '');
  report.check('a worker of before that and a coordinator of after it take each other', differs(await handshake(after, worker), BOTH));

  await refill(admin, [AUTHORITY], report);
  await refill(admin, Object.keys(SECRETS), report);
  const others = await Promise.all(Object.keys(SECRETS).map(fetch));
  const authorities = new Set(others.map(({ authority }) => authority.toString()));
  report.check('all are of another authority', differs([authorities.size, authorities.has(after.authority.toString())], [1, false]));
  const knocks = await Promise.allSettled(others.map((other) => handshake(other, { ...worker, authority: other.authority })));
  report.check(
    'they refuse who has a certificate of the old one',
    differs(knocks.filter(({ status }) => status === 'fulfilled').length, 0),
  );
}

/** What isn't ready yet. */
async function unready(admin: Kubectl): Promise<string> {
  const { items } = await admin.get<{
    readonly items: readonly {
      readonly metadata: { readonly name: string };
      readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[] };
    }[];
  }>('certificates.cert-manager.io', ...NAMESPACE);
  const problems = items.flatMap(({ metadata: { name }, status: { conditions = [] } = {} }) => {
    const isIssuing = conditions.some(({ type, status }) => type === 'Issuing' && status === 'True');
    const ready = conditions.find(({ type }) => type === 'Ready');
    return ready?.status === 'True' && !isIssuing ? [] : [`${name}: ${ready?.message ?? 'no state'}`];
  });
  return items.length === Object.keys(SECRETS).length + 1 ? problems.join('; ') : `${items.length} Certificates`;
}

/** Writes a Secret's keys as the kubelet would, and reads them as our programs do. */
async function fetchSecret(admin: Kubectl, name: string, folder: string): Promise<TlsFiles> {
  const { data } = await admin.get<Secret>('secret', name, ...NAMESPACE);
  const place = join(folder, name);
  await mkdir(place, { recursive: true });
  for (const [key, value] of Object.entries(data)) await writeFile(join(place, key), Buffer.from(value, 'base64'), { mode: 0o600 });
  return loadTlsFiles(place);
}

function rolesOf(secret: string, { identity }: TlsFiles): string {
  const accepted = ROLES.filter((role) => {
    try {
      authorise(identity, [role], 'act');
      return true;
    } catch {
      return false;
    }
  });
  const expected = SECRETS[secret];
  // A coordinator may do what the others may.
  return differs([identity, accepted], [expected, expected?.role === 'coordinator' ? ROLES : [expected?.role]]);
}

function shapeOf({ certificate, identity, notAfterMs }: TlsFiles): string {
  const { subject, keyUsage, publicKey, ca, validFrom } = new X509Certificate(certificate);
  const days = Math.round((notAfterMs - Date.parse(validFrom)) / 86_400_000);
  return differs(
    [subject.split('\n').sort(), keyUsage?.toSorted(), publicKey.asymmetricKeyDetails?.namedCurve, ca, days],
    [['O=deepdefense', `OU=${identity.role}`], ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'], 'prime256v1', false, 90],
  );
}

/** Deletes Secrets, and waits until they are there again. */
async function refill(admin: Kubectl, names: readonly string[], report: Report): Promise<void> {
  const { code, stderr } = await admin.run('delete', 'secret', ...names, ...NAMESPACE);
  const missing = async () => {
    const { items } = await admin.get<{ readonly items: readonly { readonly metadata: { readonly name: string } }[] }>(
      'secrets',
      ...NAMESPACE,
    );
    return names.filter((name) => !items.some(({ metadata }) => metadata.name === name)).join();
  };
  await report.eventually(`deleted, and filled anew: ${names.join(', ')}`, async () =>
    code === 0 ? (await missing()) || (await unready(admin)) : stderr,
  );
}

/** Asks for a renewal before it is due, as `cmctl renew` does, and waits for another certificate. */
async function renew(admin: Kubectl, name: string, report: Report): Promise<void> {
  const current = async () => (await admin.get<Secret>('secret', name, ...NAMESPACE)).data['tls.crt'];
  const before = await current();
  const issuing = {
    type: 'Issuing',
    status: 'True',
    reason: 'ManuallyTriggered',
    message: '',
    lastTransitionTime: new Date().toISOString(),
  };
  const { status } = await admin.get<{ readonly status: { readonly conditions: readonly object[] } }>('certificate', name, ...NAMESPACE);
  const patch = JSON.stringify({ status: { conditions: [...status.conditions, issuing] } });
  const asked = await admin.run('patch', 'certificate', name, ...NAMESPACE, '--subresource', 'status', '--type', 'merge', '--patch', patch);
  report.check(`${name}: a renewal is asked for`, asked.code === 0 ? '' : asked.stderr);
  await report.eventually(
    `${name}: is renewed`,
    async () => (await unready(admin)) || ((await current()) === before ? 'the same certificate' : ''),
  );
}

/** One connection in which both sides ask for a certificate. @returns whom each side has seen: the client, then the server */
async function handshake(server: TlsFiles, client: TlsFiles): Promise<readonly (string | undefined)[]> {
  const roleOf = (socket: TLSSocket) => identityOf(socket.getPeerCertificate().subjectaltname)?.role;
  const options = ({ authority: ca, certificate: cert, key }: TlsFiles) => ({ ca, cert, key, rejectUnauthorized: true });
  const listener = createServer({ ...options(server), requestCert: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const accepted = new Promise<TLSSocket>((resolve, reject) => {
    listener.once('secureConnection', resolve);
    listener.once('tlsClientError', reject);
  });
  // By role and not by host name, as our clients do.
  const socket = connect({ ...options(client), port, host: '127.0.0.1', checkServerIdentity: () => undefined });
  // A refusal may come when the client takes itself for connected.
  socket.on('error', () => {});
  try {
    const [peer] = await Promise.all([accepted, once(socket, 'secureConnect')]);
    return [roleOf(socket), roleOf(peer)];
  } finally {
    socket.destroy();
    listener.close();
  }
}
