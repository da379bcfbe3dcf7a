/** @file Sweeps that are kept on NATS JetStream, by commands as users give them; the server is killed and started again. */
import { readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openNatsLink, sweepNames } from '../../src/journal/index.ts';
import type { SweepEventEnvelope } from '../../src/queue/index.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { CommandFolder } from './support/command.ts';
import { essence, expectEachMeasuredOnce, FUNCTION_SWEEP, readRecord, workersOf, writeSweep } from './support/sweeps.ts';

let folder: CommandFolder;
let server: NatsServer;
beforeEach(async () => {
  folder = await CommandFolder.create();
  if (NATS_SERVER !== undefined) server = await startNatsServer();
});
afterEach(async () => {
  await folder.close();
  await server?.close();
});

const TRAINING_SWEEP = `
name: tiny
config:
  data: {source: synthetic, trainSamples: 320, testSamples: 40}
  model: {name: cnn3}
  train: {batchSize: 32}
  checkpoint: {everySteps: 5}
  evaluation: {epsLinf: [0.03], robustSamples: 10, attacks: [fgsm]}
space:
  strategy.gfa.strength: {type: log-float, low: 0.1, high: 10}
objectives: [{name: clean-accuracy}, {name: robust-accuracy}]
rungs: [{epochs: 1}, {epochs: 2}]
sampler: {name: random}
scheduler: {name: asha, reduction: 2}
budget: {candidates: 2}
lanes: 2
leaseMs: 2000
`;

/** Does not end while other commands start on a busy machine. */
const SLOW_SWEEP = FUNCTION_SWEEP.replace('functionSeconds: 0.15', 'functionSeconds: 0.4');

const sweepFile = (text = FUNCTION_SWEEP, name?: string) => writeSweep(folder, text, name);
const recordOf = (out: string) => readRecord(folder, out);

describe.skipIf(NATS_SERVER === undefined)(`sweep on NATS${NATS_SKIPPED}`, () => {
  it('decides as in a folder although a worker is killed, one frozen, the server killed, and the coordinator replaced by its standby', async () => {
    const file = await sweepFile(SLOW_SWEEP);
    expect((await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2')).code).toBe(0);
    const place = ['--nats', server.url, '--id', 'rough'];
    const first = folder.start('sweep', '-c', file, '--out', 'first', ...place, '--workers', '2');
    await first.seen('| 3 measurements');
    const standby = folder.start('sweep', '-c', file, '--out', 'second', ...place, '--workers', '2', '--standby');
    await standby.seen('standing by: another process coordinates');
    const [killed = 0, frozen = 0] = await workersOf(first);
    process.kill(killed, 'SIGKILL');
    process.kill(frozen, 'SIGSTOP');
    await first.seen('fell silent');
    process.kill(frozen, 'SIGCONT');
    await first.seen('| 8 measurements');
    await server.kill();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await server.restart();
    await first.seen('| 12 measurements');
    first.child.kill('SIGKILL');
    const killedMs = performance.now();
    await standby.seen('coordinator on');
    expect(performance.now() - killedMs).toBeLessThan(10_000);
    expect((await standby.done).code).toBe(0);
    expect(essence(await recordOf('second'))).toEqual(essence(await recordOf('calm')));
    await expectEachMeasuredOnce(folder, 'second');
  });

  it('trains trials whose worker is killed, from another folder, and to the same figures', async () => {
    const file = await sweepFile(TRAINING_SWEEP);
    expect((await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '1')).code).toBe(0);
    const rough = folder.start('sweep', '-c', file, '--nats', server.url, '--id', 'rough', '--out', 'rough', '--workers', '1');
    await rough.seen('| 1 measurements');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const [worker = 0] = await workersOf(rough);
    process.kill(worker, 'SIGKILL');
    await rough.seen('| 2 measurements');
    rough.child.kill('SIGINT');
    expect((await rough.done).code).toBe(130);
    // The servers have the whole sweep.
    await rm(join(folder.path, 'rough/sweep.jsonl'));
    expect((await folder.run('sweep', '-c', file, '--nats', server.url, '--id', 'rough', '--out', 'rough', '--workers', '2')).code).toBe(0);
    expect(essence(await recordOf('rough'))).toEqual(essence(await recordOf('calm')));
    await expectEachMeasuredOnce(folder, 'rough');
  });

  it('ends a coordinator that was frozen and replaced; it writes nothing more', async () => {
    const file = await sweepFile(SLOW_SWEEP);
    const place = ['--nats', server.url, '--id', 'one', '--workers', '1'];
    const first = folder.start('sweep', '-c', file, '--out', 'first', ...place);
    await first.seen('| 3 measurements');
    const standby = folder.start('sweep', '-c', file, '--out', 'second', ...place, '--standby');
    await standby.seen('standing by');
    first.child.kill('SIGSTOP');
    await standby.seen('coordinator on');
    first.child.kill('SIGCONT');
    const ended = await first.done;
    expect(ended.code).toBe(10);
    expect(ended.stderr).toMatch(/LEADER_LOST|JOURNAL_FENCED/);
    expect((await standby.done).code).toBe(0);
    expect((await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2')).code).toBe(0);
    expect(essence(await recordOf('second'))).toEqual(essence(await recordOf('calm')));
    await expectEachMeasuredOnce(folder, 'second');
  });

  it('goes on by its id alone, with workers from elsewhere, and tells other programs what happens', async () => {
    const file = await sweepFile(SLOW_SWEEP);
    const environment = ['--nats', server.url];
    const first = folder.start('sweep', '-c', file, ...environment, '--id', 'one', '--workers', '0');
    const line = await first.seen(/start workers with: deepdefense worker .*/);
    expect(line).toContain(`worker --nats ${server.url} --sweep one`);
    const worker = folder.start('worker', ...environment, '--sweep', 'one');
    await first.seen('| 5 measurements');
    expect((await folder.run('sweep', 'pause', 'one')).code).toBe(0);
    expect((await folder.run('sweep', 'resume', 'one')).code).toBe(0);
    expect((await folder.run('sweep', 'stop', 'one')).code).toBe(0);
    expect((await first.done).code).toBe(0);
    await rm(join(folder.path, 'sweeps'), { recursive: true });
    const second = await folder.run('sweep', 'resume', 'one', ...environment, '--workers', '0', '--json');
    expect(second.code).toBe(0);
    expect(JSON.parse(second.stdout)).toMatchObject({ state: 'completed', sweepId: 'one' });
    expect((await worker.done).code).toBe(0);
    await expectEachMeasuredOnce(folder, 'sweeps/one');
    const told = await eventsOf('one');
    const types = told.map(({ type }) => type);
    expect(types.filter((type) => type === 'run.started')).toHaveLength(2);
    for (const type of ['run.paused', 'run.resumed', 'run.finished', 'trial.chosen', 'trial.measured'] as const)
      expect(types).toContain(type);
    const measured = told.filter((event) => event.type === 'trial.measured');
    expect(new Set(measured.map(({ body }) => (body as { task: string }).task)).size).toBe(measured.length);
  });

  it('gives the workers that it starts a password, without writing it down', async () => {
    await server.close();
    server = await startNatsServer({ config: 'authorization { user: me, password: "a b" }' });
    const login = server.url.replace('//', '//me:a%20b@');
    const file = await sweepFile(FUNCTION_SWEEP.replace('candidates: 24', 'candidates: 2'));
    const sweep = await folder.run('sweep', '-c', file, '--nats', login, '--id', 'one', '--out', 'one', '--workers', '1');
    expect(sweep).toMatchObject({ code: 0 });
    for (const name of ['nats.json', 'sweep.jsonl', 'logs/worker-1.log'])
      expect(await readFile(join(folder.path, 'one', name), 'utf8')).not.toContain('a%20b');
    const stranger = await folder.run('sweep', 'resume', 'one', '--nats', server.url);
    expect(stranger.code).toBe(7);
  });

  it('ends when the server stays away, and goes on when it is there again', async () => {
    const place = ['-c', await sweepFile(), '--nats', server.url, '--id', 'one', '--out', 'one'];
    const sweep = folder.start('sweep', ...place, '--workers', '1', '--nats-patience', '5');
    await sweep.seen('| 3 measurements');
    await server.kill();
    await sweep.seen('NATS: connection to');
    expect(await sweep.done).toMatchObject({ code: 7 });
    await server.restart();
    expect((await folder.run('sweep', ...place, '--workers', '2')).code).toBe(0);
    await expectEachMeasuredOnce(folder, 'one');
  });

  it('refuses a second coordinator, another sweep, folders and commands that fit elsewhere', async () => {
    const file = await sweepFile(SLOW_SWEEP);
    const place = ['--nats', server.url, '--id', 'one'];
    const sweep = folder.start('sweep', '-c', file, '--out', 'first', ...place, '--workers', '1');
    await sweep.seen('| 1 measurements');
    const second = await folder.run('sweep', '-c', file, '--out', 'second', ...place);
    expect(second).toMatchObject({ code: 10 });
    expect(second.stderr).toContain('another process coordinates sweep "one"');
    const astray = await folder.run('worker', '--sweep', (await sweep.seen(/coordinator on [\d.:]+/)).slice('coordinator on '.length));
    expect(astray.stderr).toContain(
      `deepdefense worker --nats ${server.url.slice('nats://'.length)} --sweep one`.replace('--nats ', '--nats nats://'),
    );
    expect((await folder.run('sweep', 'stop', 'first')).code).toBe(0);
    expect((await sweep.done).code).toBe(0);
    const other = await sweepFile(SLOW_SWEEP.replace('startup: 5', 'startup: 6'), 'other.yaml');
    const refused = await folder.run('sweep', '-c', other, '--out', 'third', ...place);
    expect(refused).toMatchObject({ code: 5 });
    expect(refused.stderr).toContain('belongs to another sweep');
    const embedded = await folder.run('sweep', '-c', file, '--out', 'first');
    expect(embedded).toMatchObject({ code: 5 });
    expect(embedded.stderr).toContain('is kept on NATS');
    const unknown = await folder.run('sweep', 'resume', 'nobody', '--nats', server.url);
    expect(unknown.stderr).toContain('there is no sweep "nobody" on NATS');
    expect((await folder.run('sweep', '-c', file, '--nats', server.url, '--id', 'a.b')).code).toBe(2);
  });

  it('says what is wrong with a server without JetStream, and with a stream that is full; nothing is lost', async () => {
    const file = await sweepFile();
    const plain = await startNatsServer({ jetStream: false });
    try {
      const refused = await folder.run('sweep', '-c', file, '--nats', plain.url);
      expect(refused.stderr).toContain('JetStream is off on the NATS server');
      expect(refused.code).not.toBe(0);
    } finally {
      await plain.close();
    }
    const place = ['--nats', server.url, '--id', 'one', '--out', 'one', '--workers', '1'];
    const sweep = folder.start('sweep', '-c', file, ...place);
    await sweep.seen('| 3 measurements');
    await limitJournal('one', 4096);
    const full = await sweep.done;
    expect(full.code).not.toBe(0);
    expect(full.stderr).toContain('make room on the server');
    await limitJournal('one', -1);
    expect(await folder.run('sweep', '-c', file, ...place)).toMatchObject({ code: 0 });
    expect((await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2')).code).toBe(0);
    expect(essence(await recordOf('one'))).toEqual(essence(await recordOf('calm')));
  });
});

describe('sweep --nats', () => {
  it('refuses credentials for no server, and a worker the id of a sweep without servers', async () => {
    const file = await sweepFile();
    const credentials = await folder.run('sweep', '-c', file, '--nats-credentials', 'x.creds');
    expect(credentials).toMatchObject({ code: 2 });
    expect(credentials.stderr).toContain('credentials for NATS and no servers');
    const worker = await folder.run('worker', '--sweep', 'my-sweep');
    expect(worker).toMatchObject({ code: 2 });
    expect(worker.stderr).toContain('for the id of a sweep on NATS give --nats');
  });

  it('says that a server is too old, and which feature needs a newer one', async () => {
    const old = await oldServer('2.8.4');
    try {
      const { port } = old.address() as { port: number };
      const refused = await folder.run('sweep', '-c', await sweepFile(), '--nats', `127.0.0.1:${port}`);
      expect(refused.stderr).toContain('too old for consumers that are created by name');
      expect(refused.stderr).toContain('2.9.4');
      expect(refused.code).not.toBe(0);
    } finally {
      old.close();
    }
  });
});

/** A server that greets like NATS of some version. */
async function oldServer(version: string): Promise<Server> {
  const info = { server_id: 'old', version, proto: 1, host: '127.0.0.1', headers: true, max_payload: 1_048_576, jetstream: true };
  const old = createServer((socket) => {
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on('data', (data) => data.includes('PING') && socket.write('PONG\r\n'));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
  return old;
}

/** @param more bytes beyond what the stream holds, with room for what is written meanwhile: a server deletes what is above a new limit */
async function limitJournal(sweepId: string, more: number): Promise<void> {
  const link = await openNatsLink({ servers: server.url });
  const { journalStream } = sweepNames(sweepId);
  const { state } = await link.jsm.streams.info(journalStream);
  await link.jsm.streams.update(journalStream, { max_bytes: more === -1 ? -1 : state.bytes + more });
  await link.close();
}

async function eventsOf(sweepId: string): Promise<SweepEventEnvelope[]> {
  const link = await openNatsLink({ servers: server.url });
  const { eventStream } = sweepNames(sweepId);
  const { state } = await link.jsm.streams.info(eventStream);
  const events: SweepEventEnvelope[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++)
    events.push((await link.jsm.streams.getMessage(eventStream, { seq }))?.json<SweepEventEnvelope>() as SweepEventEnvelope);
  await link.close();
  return events;
}
