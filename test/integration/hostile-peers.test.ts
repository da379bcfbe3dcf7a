/**
 * @file One coordinator with mutual TLS under one attack after the other, with an honest worker that goes on in between. At the end the
 * weights are those of a run that nobody disturbed, and each attack has been counted.
 */
import { readFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { issueCertificate } from '../../src/security/certificates.ts';
import { issueInto, issueTokenInto, loadTlsFiles, loadTokenFile, type SecurityEvent, type TlsFiles } from '../../src/security/index.ts';
import { createCoordinatorClient, grpcStatus, type TrainTask, workerMessage } from '../../src/wire/index.ts';
import { TestAuthority } from '../support/certificates.ts';
import { TestCluster, tinyConfig } from './support/cluster.ts';
import { parameterCount } from './support/fake-computer.ts';
import { RawWorker } from './support/raw-worker.ts';

const LIMITS = {
  connectionsPerPeer: 40,
  firstCallMs: 1500,
  firstMessageMs: 1500,
  messagesPerSecond: 500,
};
const CONFIG = tinyConfig({
  train: { epochs: 100, maxSteps: 80 },
  evaluation: { everyEpochs: 100 },
  cluster: { leaseMs: 60_000, stepDeadlineMs: 150_000, workersLostMs: 60_000, heartbeatMs: 500, limits: LIMITS },
});
const HONEST_ID = 'honest-1-abc';

let authority: TestAuthority;
let foreign: TestAuthority;
let cluster: TestCluster;
let address: string;
let port: number;
/** The honest worker computes no step from here on. */
let allowedSteps = 2;
const raws: RawWorker[] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  [authority, foreign, cluster] = await Promise.all([TestAuthority.create(), TestAuthority.create(), TestCluster.create()]);
  const handle = await cluster.start(CONFIG, { tls: await authority.tls('coordinator', 'main'), acceptTokens: true });
  address = handle.grpcAddress;
  port = Number(address.split(':').at(-1));
  const honest = await authority.tls('worker', 'honest');
  const onBlock = async (step: number) => {
    while (step >= allowedSteps) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  cluster.worker({ onBlock }, { loadLogin: async () => honest });
  await cluster.event('step');
});
afterEach(async () => {
  for (const raw of raws.splice(0)) raw.kill();
  for (const socket of sockets.splice(0)) socket.destroy();
  await goOn();
});
afterAll(async () => {
  allowedSteps = Number.POSITIVE_INFINITY;
  await cluster.close();
  await Promise.all([authority.close(), foreign.close()]);
});

/** The run does two more steps. */
async function goOn(): Promise<void> {
  allowedSteps += 2;
  const step = Math.min(allowedSteps, 80);
  await cluster.event('step', (event) => event.step >= step);
}

async function count(kind: SecurityEvent): Promise<number> {
  const text = await cluster.metrics.render();
  return Number(new RegExp(`deepdefense_security_events_total\\{kind="${kind}"\\} (\\d+)`).exec(text)?.[1]);
}

/** Does it, and waits until the event has been counted `times` more. */
async function counted(kind: SecurityEvent, attack: () => unknown, times = 1): Promise<void> {
  const before = await count(kind);
  await attack();
  await vi.waitFor(async () => expect(await count(kind), kind).toBeGreaterThanOrEqual(before + times), { timeout: 50_000, interval: 50 });
}

function raw(login?: Parameters<typeof createCoordinatorClient>[1]): RawWorker {
  const worker = new RawWorker(address, login);
  raws.push(worker);
  return worker;
}

async function ended(worker: RawWorker): Promise<string> {
  await vi.waitFor(() => expect(worker.ended).toBe(true), { timeout: 50_000 });
  return grpcStatus[worker.status ?? -1] ?? 'no status';
}

let evils = 0;
/** A worker with a good certificate that has joined. Each has a name of its own, as a quarantine is remembered. */
async function evilWorker(): Promise<RawWorker> {
  evils += 1;
  const worker = raw(await authority.tls('worker', `evil${evils}`));
  worker.hello({ workerId: `evil${evils}-1-abc` });
  await worker.receive('welcome');
  worker.ready();
  return worker;
}

/** The same with shards of a step. */
async function evilHolder(): Promise<{ evil: RawWorker; task: TrainTask; block: { first: number; count: number } }> {
  const evil = await evilWorker();
  allowedSteps += 1;
  const { trainTask: task } = await evil.receive('trainTask');
  return { evil, task, block: task.blocks[0] as { first: number; count: number } };
}

/** Answers falsely, and again where an honest worker was faster with the same shards, until the answer is looked at. */
async function forge(overrides: Parameters<RawWorker['answer']>[3]): Promise<RawWorker> {
  for (;;) {
    const { evil, task, block } = await evilHolder();
    const before = await count('bad-message');
    evil.answer(task, block, zeros(), overrides);
    const said = await Promise.race([evil.receive('refusal'), evil.receive('answerRefused'), evil.receive('cancelTask')]);
    // Somebody else was faster.
    if (said.body === 'cancelTask' || (said.body === 'answerRefused' && said.answerRefused.code === 'PROTOCOL_STALE_LEASE')) continue;
    expect(await count('bad-message')).toBeGreaterThan(before);
    return evil;
  }
}

const zeros = () => new Float32Array(parameterCount(CONFIG));

describe('an outsider', () => {
  async function handshake(tls?: Pick<TlsFiles, 'certificate' | 'key'>): Promise<void> {
    const client = createCoordinatorClient(address, tls === undefined ? undefined : { ...(await authority.tls('worker', 'x')), ...tls });
    await client.waitUntilConnected(1500).catch(() => {});
    const stream = client.work();
    await new Promise((resolve) => {
      stream.once('error', resolve);
      stream.once('end', resolve);
      stream.resume();
    });
    client.close();
  }

  it('in plain text is counted as a failed handshake', async () => {
    await counted('tls-handshake', () => handshake());
  });

  it('with a certificate of another authority, or one that has ended, is nobody', async () => {
    await counted('identity-refused', async () => {
      const { certificate, key } = await foreign.tls('worker', 'honest');
      await handshake({ certificate, key });
    });
    const read = (name: string) => readFile(join(authority.folder, 'ca', name), 'utf8');
    const pair = await issueCertificate(
      { certificate: await read('ca.pem'), key: await read('ca-key.pem') },
      { role: 'worker', name: 'honest' },
      [],
      1,
      Date.now() - 10 * 86_400_000,
    );
    await counted('identity-refused', () => handshake({ certificate: Buffer.from(pair.certificate), key: Buffer.from(pair.key) }));
  });

  it('with a token that is forged, of another run, or of an operator, is refused', async () => {
    const file = await issueTokenInto(foreign.folder, { role: 'worker', name: 'honest' }, 1);
    const forged = { ...(await loadTokenFile(file)), authority: (await authority.tls('worker', 'x')).authority };
    await counted('token-refused', async () => expect(await ended(raw(forged))).toBe('UNAUTHENTICATED'));
    for (const identity of [
      { role: 'worker', name: 'a', scope: { kind: 'run', id: 'run-2' } },
      { role: 'operator', name: 'b' },
    ] as const) {
      const token = await loadTokenFile(await issueTokenInto(authority.folder, identity, 1));
      await counted('identity-refused', async () => expect(await ended(raw(token))).toBe('PERMISSION_DENIED'));
    }
    const good = { role: 'worker', name: 'c', scope: { kind: 'run', id: 'run-1' } } as const;
    const worker = raw(await loadTokenFile(await issueTokenInto(authority.folder, good, 1)));
    worker.hello({ workerId: 'c-1-abc' });
    expect((await worker.receive('welcome')).welcome.runId).toBe('run-1');
  });

  it('that never ends its handshake, preface or request is cut', async () => {
    await counted(
      'slow-connection',
      async () => {
        sockets.push(connect(port, '127.0.0.1').on('error', () => {}));
        const half = connect(port, '127.0.0.1').on('error', () => {});
        // The beginning of a TLS record.
        half.write(Buffer.from([22, 3, 1, 2, 0, 1, 0]));
        const { authority: ca, certificate: cert, key } = await authority.tls('worker', 'slow');
        const options = { host: '127.0.0.1', port, ca, cert, key, ALPNProtocols: ['h2'], checkServerIdentity: () => undefined };
        const preface = connectTls(options, () => preface.write('PRI * HTTP/2')).on('error', () => {});
        sockets.push(half, preface);
        const session = connectHttp2(`https://127.0.0.1:${port}`, options).on('error', () => {});
        session
          .request(
            { ':method': 'POST', ':path': '/deepdefense.v1.Coordinator/Work', 'content-type': 'application/grpc' },
            { endStream: false },
          )
          .on('error', () => {});
        sockets.push({ destroy: () => session.destroy() } as unknown as Socket);
      },
      4,
    );
  });

  it('with more connections than one address may have is cut', async () => {
    await counted(
      'connection-limit',
      () => {
        for (let i = 0; i < 400; i++) sockets.push(connect(port, '127.0.0.1').on('error', () => {}));
      },
      200,
    );
  });
});

describe('a holder of a certificate', () => {
  it('of another role or another run is refused', async () => {
    await counted('identity-refused', async () =>
      expect(await ended(raw(await authority.tls('operator', 'me')))).toBe('PERMISSION_DENIED'),
    );
    const folder = await issueInto(authority.folder, { role: 'worker', name: 'elsewhere', scope: { kind: 'sweep', id: 'run-1' } }, [], 1);
    await counted('identity-refused', async () => expect(await ended(raw(await loadTlsFiles(folder)))).toBe('PERMISSION_DENIED'));
  });

  it('that gives itself out as another worker is refused, also with a name that begins alike', async () => {
    for (const [name, workerId] of [
      ['evil', HONEST_ID],
      ['hon', HONEST_ID],
      ['honest', 'honest-2-1-abc'],
      ['dots', 'dots-1-abc/../../honest'],
    ] as const) {
      const worker = raw(await authority.tls('worker', name));
      worker.hello({ workerId });
      expect((await worker.receive('refusal')).refusal.code).toMatch(/IDENTITY_REFUSED|PROTOCOL_BAD_MESSAGE/);
    }
  });

  it('that calls what is not served, or speaks no gRPC, is counted', async () => {
    const { authority: ca, certificate: cert, key } = await authority.tls('worker', 'caller');
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca, cert, key, checkServerIdentity: () => undefined }).on(
      'error',
      () => {},
    );
    for (const headers of [
      { ':path': '/deepdefense.v1.Coordinator/Nothing', 'content-type': 'application/grpc' },
      { ':path': '/deepdefense.v1.Coordinator/Work', 'content-type': 'text/html' },
    ])
      await counted('unknown-call', () =>
        session
          .request({ ':method': 'POST', ...headers })
          .on('error', () => {})
          .end(),
      );
    session.destroy();
  });

  it('that sends messages that are too large, no messages, or too many, is refused', async () => {
    const large = await evilWorker();
    await counted('oversized-message', () =>
      large.say(workerMessage('chunk', { transferId: 1, offset: 0, totalBytes: 5e6, data: Buffer.alloc(5 * 2 ** 20) })),
    );
    expect(await ended(large)).toBe('RESOURCE_EXHAUSTED');
    const fast = await evilWorker();
    await counted('message-rate', () => {
      for (let i = 0; i < 20_000; i++) fast.heartbeat();
    });
    expect((await fast.receive('refusal')).refusal.code).toBe('LIMIT_EXCEEDED');
  });

  it('that sends vectors unasked, before it is ready or of a wrong shape is refused', async () => {
    const early = raw(await authority.tls('worker', 'early'));
    early.hello({ workerId: 'early-1-abc' });
    await counted('bad-message', () =>
      early.say(workerMessage('chunk', { transferId: 1, offset: 0, totalBytes: 8, data: Buffer.alloc(8) })),
    );
    const { evil, task, block } = await evilHolder();
    await counted('bad-message', () => evil.answer(task, block, new Float32Array(3)));
    expect((await evil.receive('refusal')).refusal.code).toBe('PROTOCOL_BAD_MESSAGE');
    const hoarder = await evilHolder();
    const totalBytes = parameterCount(CONFIG) * 4;
    await counted('bad-message', () => {
      for (let transferId = 1; transferId <= 3; transferId++)
        hoarder.evil.say(workerMessage('chunk', { transferId, offset: 0, totalBytes, data: Buffer.alloc(4) }));
    });
  });

  it('that answers under an older lease is not counted', async () => {
    const { evil, task, block } = await evilHolder();
    evil.answer(task, block, zeros().fill(1e6), { leaseEpoch: task.leaseEpoch - 1 });
    expect((await evil.receive('answerRefused')).answerRefused.code).toBe('PROTOCOL_STALE_LEASE');
  });

  it.each([
    ['shards that it has no lease on', { block: { first: 1, count: 1 } }],
    ['another step', { step: 9999 }],
    ['a transfer that never came', { transferId: 77 }],
    ['more correct answers than samples', { metricSums: [8, 99, 8] }],
    ['another number of metrics', { metricSums: [1] }],
    ['a negative time', { computeMs: -1e300 }],
  ])('that forges an answer for %s is refused', async (_, overrides) => {
    const evil = await forge(overrides);
    expect((await evil.receive('refusal')).refusal).toMatchObject({ code: 'PROTOCOL_BAD_MESSAGE', retry: false });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('that sends %s in a gradient does not end the run', async (value) => {
    const before = await count('doubtful-answer');
    const isCounted = async () => expect(await count('doubtful-answer')).toBeGreaterThan(before);
    // Again where an honest worker was faster with the same shards.
    await vi.waitFor(
      async () => {
        const { evil, task, block } = await evilHolder();
        evil.answer(task, block, zeros().fill(value, 5, 6));
        await vi.waitFor(isCounted, { timeout: 5_000 });
      },
      { timeout: 50_000 },
    );
  });
});

it('the run ends with the weights of one that nobody disturbed', async () => {
  allowedSteps = Number.POSITIVE_INFINITY;
  const result = await cluster.handle?.result;
  const quiet = await TestCluster.create();
  const handle = await quiet.start(CONFIG);
  quiet.worker();
  const expected = await handle.result;
  await quiet.close();
  expect(result?.state).toBe('completed');
  expect(result?.weightsSha256).toBe(expected.weightsSha256);
});
