/** @file A worker whose every message the test decides: it can hold answers back, die without a word, or break the protocol. */
import { defaultNetwork, parameterSpecs } from '../../../src/config/index.ts';
import { PACKAGE_VERSION, PROTOCOL_VERSION } from '../../../src/core/index.ts';
import type { Login } from '../../../src/security/index.ts';
import {
  type BlockResult,
  type CoordinatorClient,
  type CoordinatorMessage,
  type CoordinatorStream,
  createCoordinatorClient,
  type Hello,
  type Ready,
  schemaHash,
  type ServiceError,
  type ShardBlock,
  TensorSender,
  type TrainTask,
  workerMessage,
  type WorkerMessage,
} from '../../../src/wire/index.ts';
import { tinyDataset } from './cluster.ts';

export class RawWorker {
  readonly client: CoordinatorClient;
  readonly stream: CoordinatorStream;
  readonly messages: CoordinatorMessage[] = [];
  readonly #sender = new TensorSender();
  ended = false;
  /** Status that the stream failed with, by its number. */
  status: number | undefined;

  constructor(address: string, login?: Login) {
    this.client = createCoordinatorClient(address, login);
    this.stream = this.client.work();
    this.stream.on('data', (message: CoordinatorMessage) => this.messages.push(message));
    this.stream.on('error', (error) => {
      this.status = (error as Partial<ServiceError>).code;
      this.ended = true;
    });
    this.stream.on('end', () => {
      this.ended = true;
    });
  }

  say(message: WorkerMessage): void {
    this.stream.write(message);
  }

  hello(overrides: Partial<Hello> = {}): void {
    this.say(
      workerMessage('hello', {
        workerId: 'raw',
        protocolVersion: PROTOCOL_VERSION,
        packageVersion: PACKAGE_VERSION,
        host: 'test',
        processId: 1,
        ...overrides,
      }),
    );
  }

  ready(overrides: Partial<Ready> = {}): void {
    this.say(
      workerMessage('ready', {
        schemaHash: schemaHash(parameterSpecs(defaultNetwork('cnn3'))),
        engineFingerprint: 'fake engine',
        datasetHash: tinyDataset.contentHash,
        metricNames: ['loss', 'accuracy', 'lossTerm'],
        captureMs: 0,
        compileMs: 0,
        ...overrides,
      }),
    );
  }

  heartbeat(): void {
    this.say(workerMessage('heartbeat', { sentAtMs: 0, residentBytes: 0, taskId: 0 }));
  }

  answer(task: TrainTask, block: ShardBlock, gradients: Float32Array, overrides: Partial<BlockResult> = {}): void {
    const { transferId, chunks } = this.#sender.split(gradients);
    for (const chunk of chunks) this.say(workerMessage('chunk', chunk));
    const metricSums = [block.count, block.count, block.count];
    const { taskId, step, leaseEpoch } = task;
    this.say(workerMessage('blockResult', { taskId, step, leaseEpoch, block, transferId, metricSums, computeMs: 0, ...overrides }));
  }

  /** Resolves with the first message of that kind that fits. */
  async receive<Name extends NonNullable<CoordinatorMessage['body']>>(
    name: Name,
    fits: (message: Extract<CoordinatorMessage, { body: Name }>) => boolean = () => true,
  ): Promise<Extract<CoordinatorMessage, { body: Name }>> {
    for (;;) {
      const found = this.messages.find(
        (message): message is Extract<CoordinatorMessage, { body: Name }> =>
          message.body === name && fits(message as Extract<CoordinatorMessage, { body: Name }>),
      );
      if (found !== undefined) return found;
      if (this.ended) throw new Error(`the stream ended before "${name}" came`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Dies as a killed process does: the connection is cut, nothing is said. */
  kill(): void {
    this.stream.cancel();
    this.client.close();
  }
}
