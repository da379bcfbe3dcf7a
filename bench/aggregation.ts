/** @file One coordinator's share of training steps without computation, over real gRPC: gradients up, sum, Adam, parameters down. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { configSchema } from '../src/config/index.ts';
import { collectYoungObjects, DeepDefenseError, WasmVectorMath } from '../src/core/index.ts';
import { createOptimizer } from '../src/optimizers/index.ts';
import { encodeParameters } from '../src/coordinator/parameter-snapshot.ts';
import {
  bindServer,
  closeServer,
  type CoordinatorMessage,
  coordinatorMessage,
  createCoordinatorServer,
  TensorReceiver,
  TreeReducer,
  VectorPool,
  type WorkerMessage,
  type WorkerStream,
} from '../src/wire/index.ts';
import { forkDelayProxy } from './delay-proxy.ts';

export interface AggregationOptions {
  readonly clients: number;
  /** Elements of the vector. */
  readonly elements: number;
  /** Measured steps, after two that warm up. */
  readonly steps: number;
  /** Delay of a proxy before the server, one way, in ms; 0 = none. */
  readonly delayMs: number;
}

/** Times of one step in ms. */
export interface AggregationStep {
  /** From the tasks' leaving to the last gradient's arrival; all sums but the last are inside. */
  readonly upMs: number;
  /** Last sum and optimiser. */
  readonly updateMs: number;
  /** From the encoding of the parameters to the last client's word that it has them. */
  readonly downMs: number;
  /** Processor time of the server's process in the whole step. */
  readonly cpuMs: number;
}

const WARM_UP_STEPS = 2;
/** A client that died would leave the benchmark waiting for ever. */
const STEP_TIMEOUT_MS = 60_000;

/** Waits for as many events as there are clients. */
class Countdown {
  #left = 0;
  #resolve: () => void = () => {};

  start(count: number): Promise<void> {
    this.#left = count;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new DeepDefenseError('WORKERS_LOST', { what: `${this.#left} of ${count} clients did not answer` })),
        STEP_TIMEOUT_MS,
      );
      this.#resolve = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  count(): void {
    this.#left -= 1;
    if (this.#left === 0) this.#resolve();
  }
}

/** Runs the steps; clients and proxy are processes of their own and end with it. */
export async function measureAggregation({ clients, elements, steps, delayMs }: AggregationOptions): Promise<AggregationStep[]> {
  const math = new WasmVectorMath();
  const vectors = new VectorPool(elements, { keep: Number.POSITIVE_INFINITY, allocate: (length) => math.allocate(length) });
  const specs = [{ name: 'all.weight', shape: [elements], dtype: 'float32' as const }];
  const optimizer = createOptimizer(configSchema.parse({ optimizer: { name: 'adam' } }), specs, math);
  const parameters = vectors.take();
  const streams: WorkerStream[] = [];
  const [ready, gathered, received] = [new Countdown(), new Countdown(), new Countdown()];
  let reducer: TreeReducer | undefined;
  const server = createCoordinatorServer({
    work: (stream) => {
      const receiver = new TensorReceiver({ elements, allocate: () => vectors.take() });
      let said = false;
      streams.push(stream);
      stream.on('error', () => {});
      stream.on('data', (message: WorkerMessage) => {
        if (message.body === 'chunk') receiver.accept(message.chunk);
        else if (message.body === 'blockResult' && message.blockResult.block !== null) {
          reducer?.add(message.blockResult.block, receiver.take(message.blockResult.transferId), message.blockResult.metricSums);
          gathered.count();
        } else if (message.body === 'heartbeat') {
          (said ? received : ready).count();
          said = true;
        }
      });
      stream.on('end', () => stream.end());
    },
    fetchDataset: (stream) => stream.end(),
  });
  const port = await bindServer(server, '127.0.0.1', 0);
  const children: ChildProcess[] = [];
  try {
    const allReady = ready.start(clients);
    const address = `127.0.0.1:${delayMs > 0 ? await forkDelayProxy(children, port, delayMs) : port}`;
    for (let shard = 0; shard < clients; shard++) children.push(startClient(address, shard, elements));
    await allReady;
    const measured: AggregationStep[] = [];
    for (let step = 0; step < WARM_UP_STEPS + steps; step++) {
      const cpu = process.cpuUsage();
      reducer = new TreeReducer({
        root: { first: 0, count: clients },
        length: elements,
        metrics: 0,
        math,
        recycle: (vector) => vectors.give(vector),
      });
      const startMs = performance.now();
      const allGathered = gathered.start(clients);
      const task = { taskId: step, step, firstPosition: 0, blocks: [], leaseEpoch: 0, schedule: [] };
      for (const stream of streams) stream.write(coordinatorMessage('trainTask', task));
      await allGathered;
      const gatheredMs = performance.now();
      const { gradients } = reducer.takeMean();
      optimizer.apply(parameters, gradients, 1e-3);
      vectors.give(gradients);
      const updatedMs = performance.now();
      const allReceived = received.start(clients);
      const { messages } = encodeParameters(step, parameters);
      for (const stream of streams) for (const message of messages) stream.write(message as unknown as CoordinatorMessage);
      await allReceived;
      const endMs = performance.now();
      const { user, system } = process.cpuUsage(cpu);
      if (step >= WARM_UP_STEPS)
        measured.push({
          upMs: gatheredMs - startMs,
          updateMs: updatedMs - gatheredMs,
          downMs: endMs - updatedMs,
          cpuMs: (user + system) / 1000,
        });
      // As the coordinator does after each step.
      collectYoungObjects();
    }
    return measured;
  } finally {
    for (const stream of streams) stream.end();
    for (const child of children) child.kill();
    await closeServer(server, 500);
  }
}

function startClient(...args: readonly (string | number)[]): ChildProcess {
  const script = fileURLToPath(new URL('aggregation-client.ts', import.meta.url));
  return fork(script, args.map(String), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}
