/**
 * @file Many workers without computation in one process, a child of swarm.ts: each with a connection and a stream of its own, heartbeats at
 * the asked interval, and an answer of zeros at once for every task. Arguments: address, first worker, workers, elements of the vector, and the
 * folder of the certificate that all show, or nothing for plain text.
 */
import { Client } from '@grpc/grpc-js';
import { PACKAGE_VERSION, PROTOCOL_VERSION } from '../src/core/index.ts';
import { loadTlsFiles } from '../src/security/index.ts';
import { channelOptions, clientCredentials } from '../src/wire/credentials.ts';
import {
  CHANNEL_OPTIONS,
  type CoordinatorMessage,
  type CoordinatorStream,
  loadProto,
  TensorSender,
  type TrainTask,
  type Welcome,
  type WorkerMessage,
  workerMessage,
} from '../src/wire/index.ts';

/** What the parent says: so many more workers join, or all end and their counts are wanted. */
export type SwarmOrder = { readonly kind: 'join'; readonly workers: number } | { readonly kind: 'end' };

/** What workers received and sent. */
export interface SwarmCounts {
  tasks: number;
  /** Streams that broke; their workers came back. */
  drops: number;
  /** Of tensors alone. */
  bytesUp: number;
  bytesDown: number;
}

/** What a child says to its parent. */
export type SwarmReport =
  | { readonly kind: 'loaded' }
  /** The first task of this step has come; `atMs` is the time of day. */
  | { readonly kind: 'step'; readonly step: number; readonly atMs: number }
  | { readonly kind: 'refused'; readonly worker: number; readonly reason: string }
  | { readonly kind: 'ended'; readonly counts: SwarmCounts };

/** After a broken stream. */
const REJOIN_MS = 500;
const METRIC_NAMES = ['loss', 'accuracy', 'lossTerm'];

const [address, ...numbers] = process.argv.slice(2, 6) as [string, ...string[]];
const [firstWorker, workers, elements] = numbers.map(Number) as [number, number, number];
const certificates = process.argv[6] ?? '';
const tls = certificates === '' ? undefined : await loadTlsFiles(certificates);

const { Work } = loadProto();
const vector = new TensorSender().split(new Float32Array(elements));
/** Encoded once: the coordinator forgets a transfer when it has taken it, so all answers may have the same transfer id. */
const encodedVector = vector.chunks.map((chunk) => Work.requestSerialize(workerMessage('chunk', chunk)));
const { transferId } = vector;

const counts: SwarmCounts = { tasks: 0, drops: 0, bytesUp: 0, bytesDown: 0 };
let lastStep = -1;
let joined = 0;
let isEnding = false;

function report(message: SwarmReport): void {
  process.send?.(message);
}

/** One worker from its Hello to the end of the run. */
class SwarmWorker {
  readonly #index: number;
  readonly #client: Client;
  readonly #stream: CoordinatorStream;
  #heartbeat: NodeJS.Timeout | undefined;
  #over = false;

  constructor(index: number) {
    this.#index = index;
    // Without a pool of its own a channel shares the connection of the others to this address.
    this.#client = new Client(address, clientCredentials(tls), {
      ...CHANNEL_OPTIONS,
      ...channelOptions(tls),
      'grpc.use_local_subchannel_pool': 1,
    });
    this.#stream = this.#client.makeBidiStreamRequest<WorkerMessage, CoordinatorMessage>(
      Work.path,
      (message: object) => (Buffer.isBuffer(message) ? message : Work.requestSerialize(message)),
      Work.responseDeserialize,
    );
    this.#stream.on('data', (message: CoordinatorMessage) => this.#receive(message));
    this.#stream.on('error', () => this.#broken());
    this.#stream.on('end', () => this.#broken());
  }

  join(): void {
    this.#say('hello', {
      workerId: `swarm-${process.pid}-${this.#index.toString(16)}`,
      protocolVersion: PROTOCOL_VERSION,
      packageVersion: PACKAGE_VERSION,
      host: 'swarm',
      processId: process.pid,
    });
  }

  #say(...[body, value]: Parameters<typeof workerMessage>): void {
    this.#stream.write(workerMessage(body, value));
  }

  #receive(message: CoordinatorMessage): void {
    switch (message.body) {
      case 'welcome':
        return this.#welcome(message.welcome);
      case 'chunk':
        counts.bytesDown += message.chunk.data.length;
        return;
      case 'initialiseTask':
        this.#sendVector();
        return this.#say('initialParameters', { taskId: message.initialiseTask.taskId, transferId });
      case 'trainTask':
        return this.#train(message.trainTask);
      case 'evaluationTask': {
        const { taskId, count } = message.evaluationTask;
        return this.#say('evaluationResult', { taskId, correct: Buffer.alloc(count), lossSum: count, computeMs: 0 });
      }
      case 'refusal':
        report({ kind: 'refused', worker: this.#index, reason: `${message.refusal.code}: ${message.refusal.message}` });
        return this.#end();
      case 'finish':
        return this.#end();
      default:
        return;
    }
  }

  #welcome({ schemaHash, datasetHash, heartbeatMs }: Welcome): void {
    this.#say('ready', { schemaHash, datasetHash, engineFingerprint: 'swarm', metricNames: METRIC_NAMES, captureMs: 0, compileMs: 0 });
    const beat = (): void => {
      this.#say('heartbeat', { sentAtMs: Date.now(), residentBytes: 0, taskId: 0 });
    };
    // Workers that start together don't beat together for long; here they are spread from the beginning.
    this.#heartbeat = setTimeout(() => {
      beat();
      this.#heartbeat = setInterval(beat, heartbeatMs);
    }, Math.random() * heartbeatMs);
  }

  #train({ taskId, step, blocks, leaseEpoch }: TrainTask): void {
    counts.tasks += 1;
    if (step > lastStep) {
      lastStep = step;
      report({ kind: 'step', step, atMs: performance.timeOrigin + performance.now() });
    }
    for (const block of blocks) {
      this.#sendVector();
      this.#say('blockResult', {
        taskId,
        step,
        leaseEpoch,
        block,
        transferId,
        metricSums: METRIC_NAMES.map(() => block.count),
        computeMs: 0,
      });
    }
  }

  #sendVector(): void {
    counts.bytesUp += elements * 4;
    for (const message of encodedVector) this.#stream.write(message as unknown as WorkerMessage);
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#heartbeat);
    this.#stream.once('close', () => this.#client.close());
    this.#stream.end();
    this.#stream.resume();
  }

  #broken(): void {
    if (this.#over || isEnding) return;
    counts.drops += 1;
    this.#end();
    setTimeout(() => new SwarmWorker(this.#index).join(), REJOIN_MS * (1 + Math.random()));
  }
}

process.on('message', (order: SwarmOrder) => {
  if (order.kind === 'join')
    for (const end = Math.min(workers, joined + order.workers); joined < end; joined++) new SwarmWorker(firstWorker + joined).join();
  else {
    isEnding = true;
    report({ kind: 'ended', counts });
  }
});
report({ kind: 'loaded' });
