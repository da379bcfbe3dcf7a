/** @file Three NATS servers as deploy/nats/nats-cluster.conf configures them: a sweep outlives the loss of one. */
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openNatsLink, sweepNames } from '../../src/journal/index.ts';
import { TestAuthority } from '../support/certificates.ts';
import { freePort, NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { NATS_CONFIG, securedEnvironment, startSecuredNats, tlsUrl } from '../support/secured-nats.ts';
import { CommandFolder } from './support/command.ts';
import { essence, expectEachMeasuredOnce, FUNCTION_SWEEP, readRecord, writeSweep } from './support/sweeps.ts';

let folder: CommandFolder;
let authority: TestAuthority;
const servers: NatsServer[] = [];

beforeEach(async () => {
  folder = await CommandFolder.create();
  authority = await TestAuthority.create();
});
afterEach(async () => {
  await folder.close();
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await authority.close();
});

/** @param role of the certificate of the third server */
async function startCluster(role: 'nats' | 'worker' = 'nats'): Promise<void> {
  const ports = [await freePort(), await freePort(), await freePort()];
  const isStranger = (i: number) => i === 2 && role !== 'nats';
  const routesOf = (i: number) => ports.filter((_, j) => isStranger(i) || !isStranger(j)).map((port) => `nats://127.0.0.1:${port}`);
  const starts = ports.map(async (port, i) => {
    const env = { ...(await securedEnvironment(authority, `nats-${i}`)), NATS_ROUTES: JSON.stringify(routesOf(i)) };
    const certs = isStranger(i) ? await authority.issue(role, 'stranger') : undefined;
    if (certs !== undefined) Object.assign(env, { NATS_CERT: join(certs, 'cert.pem'), NATS_KEY: join(certs, 'key.pem') });
    return startNatsServer({ file: await configOnThisMachine(i, port), env });
  });
  servers.push(...(await Promise.all(starts)));
}

/** The file with this machine's address in place of that of a pod; the arguments of the server can't say it and keep the users. */
async function configOnThisMachine(i: number, port: number): Promise<string> {
  await copyFile(join(NATS_CONFIG, 'permissions.conf'), join(folder.path, 'permissions.conf'));
  const text = await readFile(join(NATS_CONFIG, 'nats-cluster.conf'), 'utf8');
  expect(text).toContain('listen: "0.0.0.0:6222"');
  const file = join(folder.path, `server-${i}.conf`);
  await writeFile(file, text.replace('listen: "0.0.0.0:6222"', `listen: "127.0.0.1:${port}"`));
  return file;
}

interface Leader {
  readonly meta_cluster?: { readonly leader?: string; readonly cluster_size?: number };
}

interface Routes {
  readonly routes: readonly { readonly remote_id: string }[];
}

const jszOf = async ({ httpPort }: NatsServer) => (await (await fetch(`http://127.0.0.1:${httpPort}/jsz`)).json()) as Leader;
/** Servers that it has connections with; from 2.10 on there are several to each. */
async function countNeighbours({ httpPort }: NatsServer): Promise<number> {
  const { routes } = (await (await fetch(`http://127.0.0.1:${httpPort}/routez`)).json()) as Routes;
  return new Set(routes.map(({ remote_id }) => remote_id)).size;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + 40_000;
  while (!(await condition())) {
    if (performance.now() > untilMs) throw new Error('it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

describe.skipIf(NATS_SERVER === undefined)(`NATS cluster${NATS_SKIPPED}`, () => {
  it('keeps three copies of a sweep, which goes on when the server that leads its streams is killed', async () => {
    await startCluster();
    await until(async () => (await Promise.all(servers.map(jszOf))).every((jsz) => (jsz.meta_cluster?.leader ?? '') !== ''));
    const certs = await authority.issue('coordinator', 'main');
    const urls = servers.map(tlsUrl).join(',');
    const place = ['--nats', urls, '--certs', certs];
    const file = await writeSweep(folder, FUNCTION_SWEEP.replace('functionSeconds: 0.15', 'functionSeconds: 0.5'));
    const sweep = folder.start('sweep', '-c', file, ...place, '--nats-replicas', '3', '--id', 'one', '--out', 'one', '--workers', '2');
    await sweep.seen('| 3 measurements');
    const link = await openNatsLink({ servers: urls, certs });
    const names = sweepNames('one');
    const streams = [names.journalStream, names.taskStream, names.eventStream, `KV_${names.bucket}`, 'KV_deepdefense_leaders'];
    for (const stream of streams) expect((await link.jsm.streams.info(stream)).config.num_replicas, stream).toBe(3);
    const leader = (await link.jsm.streams.info(names.journalStream)).cluster?.leader;
    await link.close();
    await servers[Number(leader?.slice('nats-'.length))]?.kill();
    expect(await sweep.done).toMatchObject({ code: 0 });
    expect((await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2')).code).toBe(0);
    expect(essence(await readRecord(folder, 'one'))).toEqual(essence(await readRecord(folder, 'calm')));
    await expectEachMeasuredOnce(folder, 'one');
  }, 300_000);

  it('lets no other certificate of the authority be one of its servers', async () => {
    await startCluster('worker');
    const [first, second, stranger] = servers as [NatsServer, NatsServer, NatsServer];
    await until(async () => (await countNeighbours(first)) === 1 && (await countNeighbours(second)) === 1);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await countNeighbours(first)).toBe(1);
    expect(await countNeighbours(stranger)).toBe(0);
  });

  it('is asked for with fewer servers than copies: the sweep says so', async () => {
    const single = await startSecuredNats(authority);
    servers.push(single);
    const file = await writeSweep(folder, FUNCTION_SWEEP);
    const place = ['--nats', tlsUrl(single), '--certs', await authority.issue('coordinator', 'main')];
    const refused = await folder.run('sweep', '-c', file, ...place, '--nats-replicas', '3');
    expect(refused).toMatchObject({ code: 7 });
    expect(refused.stderr).toContain('--nats-replicas');
  });
});

describe('deploy/nats', () => {
  it('names in its header every variable that a file needs, and no other', async () => {
    for (const name of ['nats.conf', 'nats-cluster.conf']) {
      const text = await readFile(join(NATS_CONFIG, name), 'utf8');
      const header = text.slice(0, text.indexOf('server_name'));
      const used = [...text.slice(header.length).matchAll(/\$(NATS_[A-Z_]+)/g)].map(([, variable]) => variable);
      expect(new Set(header.match(/NATS_[A-Z_]+/g)), name).toEqual(new Set(used));
    }
  });
});
