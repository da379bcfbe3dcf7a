/** @file NATS over mutual TLS with the configuration of deploy/nats: a sweep, and what each certificate may not do. */
import { once } from 'node:events';
import { appendFile, copyFile, readFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NatsLink, openJetStreamJournal, openNatsLink, sweepNames } from '../../src/journal/index.ts';
import { openJetStreamQueue, openJetStreamSource, takeLeadership } from '../../src/queue/index.ts';
import { TestAuthority } from '../support/certificates.ts';
import { issueComponent } from '../support/k8s/certificates.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { NATS_CONFIG, startSecuredNats, tlsUrl } from '../support/secured-nats.ts';
import { CommandFolder } from './support/command.ts';
import { essence, expectEachMeasuredOnce, FUNCTION_SWEEP, readRecord, writeSweep } from './support/sweeps.ts';

let folder: CommandFolder;
let authority: TestAuthority;
let server: NatsServer;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = await CommandFolder.create();
  authority = await TestAuthority.create();
  if (NATS_SERVER !== undefined) server = await startSecuredNats(authority);
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await folder.close();
  await server?.close();
  await authority.close();
});

const never = new AbortController().signal;

async function linkOf(certs: string | undefined, servers = tlsUrl(server)): Promise<NatsLink> {
  const link = await openNatsLink({ servers, certs, patienceMs: 1_500 });
  closers.push(() => link.close());
  return link;
}

/** Serial number of the certificate that a server shows; it greets in plain text before. */
async function shownSerial({ port }: NatsServer, caFile: string): Promise<string> {
  const socket = connectTcp(port, '127.0.0.1');
  await once(socket, 'data');
  const secured = connectTls({ socket, ca: await readFile(caFile), checkServerIdentity: () => undefined });
  await once(secured, 'secureConnect');
  const { serialNumber } = secured.getPeerCertificate();
  secured.on('error', () => {}); // It wants a certificate of ours.
  secured.destroy();
  return serialNumber;
}

const RETRIES = { errors: 1, preemptions: 1 };

describe.skipIf(NATS_SERVER === undefined)(`NATS over TLS${NATS_SKIPPED}`, () => {
  it('carries a sweep through, with a worker of its own and one from elsewhere, to the decisions of a folder', async () => {
    const [coordinator, worker] = [await authority.issue('coordinator', 'main'), await authority.issue('worker', 'one')];
    const file = await writeSweep(folder, FUNCTION_SWEEP);
    const place = ['--nats', tlsUrl(server)];
    const sweep = folder.start('sweep', '-c', file, ...place, '--id', 'one', '--out', 'one', '--workers', '1', '--certs', coordinator);
    await sweep.seen('| 2 measurements');
    const elsewhere = folder.start('worker', ...place, '--sweep', 'one', '--certs', worker, '--json');
    expect(await sweep.done).toMatchObject({ code: 0 });
    expect(await elsewhere.done).toMatchObject({ code: 0 });
    expect((await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2')).code).toBe(0);
    expect(essence(await readRecord(folder, 'one'))).toEqual(essence(await readRecord(folder, 'calm')));
    await expectEachMeasuredOnce(folder, 'one');
  });

  it('refuses a client without a certificate, one of another authority, and one whose role is that of no user', async () => {
    const other = await TestAuthority.create();
    closers.push(() => other.close());
    await expect(linkOf(undefined)).rejects.toMatchObject({ code: 'IDENTITY_REFUSED' });
    const ours = await authority.issue('worker', 'one');
    const mixed = await other.issue('worker', 'one');
    await expect(linkOf(mixed)).rejects.toMatchObject({
      code: 'IDENTITY_REFUSED',
      message: expect.stringMatching(/certificate of the NATS server/),
    });
    // It trusts the server, and the server doesn't trust it.
    await appendFile(join(mixed, 'ca.pem'), `\n${await readFile(join(ours, 'ca.pem'), 'utf8')}`);
    await expect(linkOf(mixed)).rejects.toMatchObject({
      code: 'IDENTITY_REFUSED',
      message: expect.stringMatching(/refused the certificate/),
    });
    await expect(linkOf(await authority.issue('nats', 'two'))).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      message: expect.stringMatching(/Authorization/),
    });
    await copyFile(join(mixed, 'cert.pem'), join(ours, 'cert.pem'));
    await expect(linkOf(ours)).rejects.toMatchObject({ code: 'CERTIFICATE_INVALID' });
    await expect(linkOf(undefined, server.url)).rejects.toMatchObject({ code: 'IDENTITY_REFUSED' });
  });

  it('takes certificates as cert-manager makes them, and shows a renewed one when it is told to read again', async () => {
    const { folders, renew } = await issueComponent(folder.path);
    const certs = folders.get('nats-tls') as string;
    const files = { NATS_CA: join(certs, 'ca.crt'), NATS_CERT: join(certs, 'tls.crt'), NATS_KEY: join(certs, 'tls.key') };
    const env = { NATS_SERVER_NAME: 'nats', NATS_MAX_FILE_STORE: '256M', ...files };
    const managed = await startNatsServer({ file: join(NATS_CONFIG, 'nats.conf'), env });
    closers.push(() => managed.close());
    const coordinator = await linkOf(folders.get('deepdefense-coordinator-tls'), tlsUrl(managed));
    const queue = await openJetStreamQueue({ link: coordinator, sweepId: 's', definition: 'd', leaseMs: 2_000, retries: RETRIES });
    closers.push(() => queue.close());
    await linkOf(folders.get('deepdefense-worker-tls'), tlsUrl(managed));

    const before = await shownSerial(managed, files.NATS_CA);
    await renew('nats-tls');
    expect(await shownSerial(managed, files.NATS_CA)).toBe(before);
    managed.reload();
    await expect.poll(() => shownSerial(managed, files.NATS_CA), { timeout: 10_000 }).not.toBe(before);
    await linkOf(folders.get('deepdefense-worker-tls'), tlsUrl(managed));
  });

  it('says so by the command line, and refuses plain text to other machines', async () => {
    const file = await writeSweep(folder, FUNCTION_SWEEP);
    const naked = await folder.run('worker', '--nats', tlsUrl(server), '--sweep', 'one');
    expect(naked).toMatchObject({ code: 8 });
    expect(naked.stderr).toContain('--certs');
    for (const command of [
      ['sweep', '-c', file],
      ['worker', '--sweep', 'one'],
    ]) {
      const plain = await folder.run(...command, '--nats', 'nats://192.0.2.1:4222');
      expect(plain).toMatchObject({ code: 2 });
      expect(plain.stderr).toContain('--insecure');
    }
    const mixed = await folder.run('worker', '--sweep', 'one', '--nats', 'tls://127.0.0.1:1,127.0.0.1:2');
    expect(mixed.stderr).toContain('all or none');
  });

  it("doesn't let a worker publish tasks, write the journal or settings, lead, listen to others' answers, or change quotas", async () => {
    const link = await linkOf(await authority.issue('coordinator', 'main'));
    const queue = await openJetStreamQueue({ link, sweepId: 's', definition: 'd', leaseMs: 2_000, retries: RETRIES });
    closers.push(() => queue.close());
    const { journal } = await openJetStreamJournal({ link, sweepId: 's', definition: 'd' });
    await journal.append({ type: 'note' });
    const leadership = await takeLeadership({ link, sweepId: 's', onLost: () => {} }, { standby: false, signal: never });
    closers.push(() => leadership.release());
    await queue.publish({ id: 'a', payload: '' });
    const worker = await linkOf(await authority.issue('worker', 'one'));
    const source = await openJetStreamSource({ link: worker, sweepId: 's' });
    closers.push(() => source.close());
    const claim = await source.claim('one-1', never);
    await claim?.extend();
    await claim?.commit('"fine"');
    const names = sweepNames('s');
    const forbidden = [
      names.journal,
      `${names.tasks}b`,
      `$KV.${names.bucket}.settings`,
      '$KV.deepdefense_leaders.s',
      '$KV.deepdefense_quotas.limit.t',
      `$JS.API.STREAM.DELETE.${names.journalStream}`,
      `$JS.API.STREAM.PURGE.${names.taskStream}`,
      `$JS.API.STREAM.UPDATE.${names.taskStream}`,
    ];
    for (const subject of forbidden)
      await expect(worker.connection.request(subject, '{}', { timeout: 500 }), subject).rejects.toThrow(/[Pp]ermission/);
    for (const subject of ['_INBOX.>', '_INBOX_coordinator.>', 'deepdefense.s.control']) {
      const listening = worker.connection.subscribe(subject);
      await expect(listening.closed, subject).resolves.toMatchObject({ message: expect.stringMatching(/[Pp]ermission/) });
    }
    await expect(takeLeadership({ link: worker, sweepId: 's', onLost: () => {} }, { standby: false, signal: never })).rejects.toMatchObject(
      {
        code: expect.stringMatching(/RUN_IN_USE|CONNECT_FAILED/),
      },
    );
    const journalOf = openJetStreamJournal({ link: worker, sweepId: 's', definition: 'd' }).then(({ journal: theirs }) =>
      theirs.append({ type: 'forged' }),
    );
    await expect(journalOf).rejects.toMatchObject({ code: 'CONNECT_FAILED', message: expect.stringMatching(/[Pp]ermission/) });
    await expect(
      (await linkOf(await authority.issue('coordinator', 'two'))).connection.request('$KV.deepdefense_quotas.limit.t', '9', {
        timeout: 500,
      }),
    ).rejects.toThrow(/[Pp]ermission/);
  });
});
