/**
 * @file Random and mutated bytes, frames and messages against real coordinators of a run and of a sweep, which must stay up and end with
 * the results that they have without. The seed is printed; DEEPDEFENSE_FUZZ_SEED and DEEPDEFENSE_FUZZ_MESSAGES repeat or lengthen it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadSweep } from '../../src/config/index.ts';
import { startSweep } from '../../src/coordinator/index.ts';
import { PACKAGE_VERSION, PROTOCOL_VERSION, Random } from '../../src/core/index.ts';
import { openRemoteSource } from '../../src/queue/index.ts';
import { evaluateFunction } from '../../src/sweeps/index.ts';
import { runClaimLoop } from '../../src/worker/index.ts';
import { loadProto, loadSweepProto, SWEEP_METHODS } from '../../src/wire/load-proto.ts';
import { TestCluster, logger, tinyConfig } from './support/cluster.ts';

const SEED = Number(process.env.DEEPDEFENSE_FUZZ_SEED ?? Date.now() % 1e6);
const MESSAGES = Number(process.env.DEEPDEFENSE_FUZZ_MESSAGES ?? 100_000);
const PER_CALL = 10;
/** Frames of one connection. */
const PER_CONNECTION = 40;
const AT_ONCE = 64;

const closers: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

const random = new Random('sweep', SEED, 1);
const below = (count: number) => Math.floor(random.uniform() * count);
const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
const bytes = (count: number) => Buffer.from(Array.from({ length: count }, () => below(256)));

/** Numbers and texts at the edges of what their types hold. */
const NUMBERS = [0, 1, -1, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1, 1e300, -1e300, Number.NaN, Number.POSITIVE_INFINITY];
const TEXTS = [
  '',
  'fuzz-1-abc',
  '../../../etc/passwd',
  '__proto__',
  '\u0000\n\r',
  'x'.repeat(5000),
  '{"__proto__":{"a":1}}',
  '[[[[',
  '1e999',
];

const hello = { workerId: 'fuzz-1-abc', protocolVersion: PROTOCOL_VERSION, packageVersion: PACKAGE_VERSION, host: 'h', processId: 1 };

/** Valid of form, with any values, in any order. */
function workerMessage(): object {
  const n = () => pick(NUMBERS);
  const id = () => pick([0, 1, 2, 2 ** 40]);
  switch (below(11)) {
    case 0:
      return { hello: pick([hello, { ...hello, workerId: pick(TEXTS) }, { ...hello, protocolVersion: id() }]) };
    case 1:
      return {
        ready: { schemaHash: pick(TEXTS), engineFingerprint: pick(TEXTS), metricNames: [pick(TEXTS), pick(TEXTS)], captureMs: n() },
      };
    case 2:
      return { heartbeat: { sentAtMs: n(), residentBytes: n(), taskId: id() } };
    case 3:
      return { chunk: { transferId: id(), offset: id(), totalBytes: pick([0, 4, 584_488, 2 ** 40]), data: bytes(below(64)) } };
    case 4:
      return {
        blockResult: {
          ...{ taskId: id(), step: id(), leaseEpoch: id(), transferId: id(), metricSums: [n(), n()], computeMs: n() },
          ...(below(2) === 0 && { block: { first: id(), count: id() } }),
        },
      };
    case 5:
      return { evaluationResult: { taskId: id(), correct: bytes(below(20)), lossSum: n(), computeMs: n() } };
    case 6:
      return { attackOutcome: { taskId: id(), correct: bytes(4), targetCorrect: bytes(4), distances: [n()], computeMs: n() } };
    case 7:
      return { diagnosisOutcome: { taskId: id(), json: pick(TEXTS), computeMs: n() } };
    case 8:
      return { initialParameters: { taskId: id(), transferId: id() } };
    case 9:
      return { taskFailure: { taskId: id(), code: pick(TEXTS), message: pick(TEXTS) } };
    default:
      return below(5) === 0 ? { goodbye: { reason: pick(TEXTS) } } : { heartbeat: {} };
  }
}

function sweepRequest(): object {
  const id = () => pick([0, 1, 1e9, 1e9 + 1, 2 ** 53 - 1]);
  return {
    ...{ worker: pick(TEXTS), waitMs: pick([0, 1]), task: pick(TEXTS), epoch: id(), result: pick(TEXTS), code: pick(TEXTS) },
    ...{ message: pick(TEXTS), lasting: below(2) === 0, action: pick(['status', ...TEXTS]), candidates: below(100), protocolVersion: id() },
  };
}

/** Flips, cuts, doubles and inserts. */
function mutated(message: Buffer): Buffer {
  const copy = Buffer.from(message);
  for (let i = below(4); i >= 0 && copy.length > 0; i--) copy[below(copy.length)] = below(256);
  switch (below(4)) {
    case 0:
      return copy.subarray(0, below(copy.length + 1));
    case 1:
      return Buffer.concat([copy, copy]);
    case 2:
      return Buffer.concat([copy.subarray(0, below(copy.length + 1)), bytes(below(16)), copy]);
    default:
      return copy;
  }
}

/** A message in its gRPC frame, which may lie about its length or compression. */
function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head[0] = below(50) === 0 ? 1 : 0;
  head.writeUInt32BE(below(50) === 0 ? pick([0, 1, message.length + 1, 2 ** 32 - 1]) : message.length, 1);
  return Buffer.concat([head, message]);
}

function fuzzed(encode: () => Buffer): Buffer {
  const kind = below(10);
  if (kind < 4) return framed(encode());
  return framed(kind < 9 ? mutated(encode()) : bytes(below(200)));
}

/** Calls with messages of `frames`, so many at once over connections that are made anew when they break. @returns messages sent */
async function attack(port: number, count: number, paths: readonly string[], frames: () => Buffer[]): Promise<number> {
  let sent = 0;
  const one = async (): Promise<void> => {
    let session: ClientHttp2Session | undefined;
    while (sent < count) {
      if (session === undefined || session.closed || session.destroyed) {
        session = connectHttp2(`http://127.0.0.1:${port}`);
        session.on('error', () => {});
      }
      const messages = frames();
      sent += messages.length;
      const live = session;
      await new Promise<void>((resolve) => {
        const call = live.request({ ':method': 'POST', ':path': pick(paths), 'content-type': 'application/grpc', te: 'trailers' });
        const timer = setTimeout(() => call.close(), 500);
        call
          .on('error', () => {})
          .on('close', () => {
            clearTimeout(timer);
            resolve();
          });
        call.resume();
        call.end(Buffer.concat(messages));
      });
    }
    session?.destroy();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return sent;
}

/** HTTP/2 frames of any kind behind the preface, and bytes that are none. @returns frames and pieces sent */
async function attackBelow(port: number, count: number): Promise<number> {
  const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const frame = () => {
    const body = bytes(below(40));
    const head = Buffer.alloc(9);
    head.writeUIntBE(below(20) === 0 ? below(2 ** 24) : body.length, 0, 3);
    head[3] = below(12);
    head[4] = below(256);
    head.writeUInt32BE(pick([0, 1, 3, 5, 2 ** 31 - 1]), 5);
    return Buffer.concat([head, body]);
  };
  let sent = 0;
  const one = async (): Promise<void> => {
    while (sent < count) {
      const pieces = Array.from({ length: PER_CONNECTION }, frame);
      sent += pieces.length;
      const begin = below(4) === 0 ? [bytes(24)] : [PREFACE, SETTINGS];
      await new Promise<void>((resolve) => {
        const socket = connect(port, '127.0.0.1');
        const timer = setTimeout(() => socket.destroy(), 300);
        socket
          .on('error', () => {})
          .on('close', () => {
            clearTimeout(timer);
            resolve();
          });
        socket.resume();
        socket.end(Buffer.concat([...begin, ...pieces]));
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return sent;
}

const portOf = (address: string) => Number(address.split(':').at(-1));

it(`coordinators of a run and of a sweep stand ${MESSAGES} fuzzed messages, seed ${SEED}`, { timeout: 600_000 }, async () => {
  const startedMs = performance.now();
  const cpu = process.cpuUsage();
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  process.on('uncaughtException', onError).on('unhandledRejection', onError);
  closers.push(() => process.off('uncaughtException', onError).off('unhandledRejection', onError));

  // A run whose worker waits until the attack is over, and goes on with what the coordinator has then.
  const cluster = await TestCluster.create();
  closers.push(() => cluster.close());
  let attacked = false;
  const config = tinyConfig({ train: { maxSteps: 6 }, cluster: { leaseMs: 60_000, stepDeadlineMs: 600_000, workersLostMs: 600_000 } });
  const handle = await cluster.start(config);
  cluster.worker({
    onBlock: async (step) => {
      while (step >= 2 && !attacked) await new Promise((resolve) => setTimeout(resolve, 50));
    },
  });
  await cluster.event('step', ({ step }) => step >= 2);

  const folder = await mkdtemp(join(tmpdir(), 'fuzz-'));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'sweep.yaml');
  await writeFile(
    file,
    'function: branin\nspace: {x1: {type: float, low: 0, high: 1}, x2: {type: float, low: 0, high: 1}}\nobjectives: [{name: value}]\nsampler: {name: random}\nbudget: {candidates: 6}\nleaseMs: 1000\npreemptions: 100000\n',
  );
  const source = await loadSweep({ file });
  const dataset = { name: '', contentHash: '' };
  const run = (name: string) =>
    startSweep({ source, folder: join(folder, name), sweepId: name, dataset, host: '127.0.0.1', port: 0, httpPort: 0, logger });
  const work = async (sweep: Awaited<ReturnType<typeof run>>) => {
    const remote = await openRemoteSource({ address: sweep.address });
    const compute = async ({ task }: { task: { payload: string } }) => {
      const { name, x } = JSON.parse(task.payload) as { name: 'branin'; x: number[] };
      const result = JSON.stringify({ details: { value: evaluateFunction(name, x)[0] }, seconds: 0, engine: '' });
      return { result, diverged: false };
    };
    await runClaimLoop({ source: remote, worker: 'honest-1-abc', run: compute, logger, signal: new AbortController().signal });
    await remote.close();
    return sweep.result;
  };
  const sweep = await run('attacked');

  const { Work, FetchDataset } = loadProto();
  const ofRun = Math.floor(MESSAGES * 0.5);
  const ofSweep = Math.floor(MESSAGES * 0.05);
  const runMessages = () => {
    const first = below(3) === 0 ? [framed(Work.requestSerialize({ hello }))] : [];
    return [...first, ...Array.from({ length: PER_CALL }, () => fuzzed(() => Work.requestSerialize(workerMessage())))];
  };
  const sent = { run: 0, sweep: 0, below: 0 };
  const runPort = portOf(handle.grpcAddress);
  sent.run += await attack(
    runPort,
    ofRun,
    [Work.path, Work.path, Work.path, FetchDataset.path, '/deepdefense.v1.Coordinator/No'],
    runMessages,
  );
  const proto = loadSweepProto();
  // All but Control, which is for operators and stops a sweep.
  const methods = SWEEP_METHODS.filter((method) => method !== 'Control').map((method) => proto[method]);
  sent.sweep += await attack(
    portOf(sweep.address),
    ofSweep,
    methods.map(({ path }) => path),
    () => [fuzzed(() => pick(methods).requestSerialize(sweepRequest()))],
  );
  for (const port of [runPort, portOf(sweep.address)]) sent.below += await attackBelow(port, (MESSAGES - ofRun - ofSweep) / 2);
  const cpuSeconds = (process.cpuUsage(cpu).user + process.cpuUsage(cpu).system) / 1e6;
  const attackSeconds = (performance.now() - startedMs) / 1000;
  const rssMiB = Math.round(process.memoryUsage.rss() / 2 ** 20);

  attacked = true;
  const result = await handle.result;
  const quiet = await TestCluster.create();
  closers.push(() => quiet.close());
  const quietHandle = await quiet.start(config);
  quiet.worker();
  expect(result.weightsSha256).toBe((await quietHandle.result).weightsSha256);
  const [record, other] = [await work(sweep), await work(await run('quiet'))];
  expect(record.state).toBe('completed');
  expect(record.decisionsSha256).toBe(other.decisionsSha256);
  expect(errors).toEqual([]);
  const text = await cluster.metrics.render();
  const counted = (kind: string) => Number(new RegExp(`security_events_total\\{kind="${kind}"\\} (\\d+)`).exec(text)?.[1]);
  console.log(
    `fuzz: seed ${SEED}, sent ${JSON.stringify(sent)} in ${attackSeconds.toFixed(0)} s (${cpuSeconds.toFixed(0)} s of CPU), resident ${rssMiB} MiB, events of the run: ` +
      ['malformed-message', 'bad-message', 'oversized-message', 'unknown-call'].map((kind) => `${kind} ${counted(kind)}`).join(', '),
  );
  expect(sent.run + sent.sweep + sent.below).toBeGreaterThanOrEqual(MESSAGES);
  for (const kind of ['malformed-message', 'bad-message', 'oversized-message', 'unknown-call'])
    expect(counted(kind), kind).toBeGreaterThan(0);
});
