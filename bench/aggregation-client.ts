/**
 * @file A worker without computation, in a process of its own: sends a gradient when it gets a task, and a heartbeat when it has the
 * whole of the new parameters. Arguments: address, shard, elements. Ends with the stream.
 */
import {
  type CoordinatorMessage,
  createCoordinatorClient,
  sendAll,
  TensorReceiver,
  TensorSender,
  type WorkerMessage,
  workerMessage,
} from '../src/wire/index.ts';

const [address, shardText, elementsText] = process.argv.slice(2) as [string, string, string];
const [shard, elements] = [Number(shardText), Number(elementsText)];
const gradient = Float32Array.from({ length: elements }, (_, i) => ((i * 7 + shard * 5) % 11) - 5);

const client = createCoordinatorClient(address);
await client.waitUntilConnected(20_000);
const stream = client.work();
const sender = new TensorSender();
const spare = new Float32Array(elements);
const receiver = new TensorReceiver({ elements, allocate: () => spare });

const alive = (): WorkerMessage => workerMessage('heartbeat', { sentAtMs: Date.now(), residentBytes: 0, taskId: shard });

stream.on('data', (message: CoordinatorMessage) => {
  if (message.body === 'chunk') receiver.accept(message.chunk);
  else if (message.body === 'parametersReady') {
    receiver.take(message.parametersReady.transferId);
    stream.write(alive());
  } else if (message.body === 'trainTask') {
    const { taskId, step, leaseEpoch } = message.trainTask;
    const { transferId, chunks } = sender.split(gradient);
    const block = { first: shard, count: 1 };
    const result = workerMessage('blockResult', { taskId, step, leaseEpoch, block, transferId, metricSums: [], computeMs: 0 });
    const end = (): void => process.exit();
    sendAll(stream, [...chunks.map((chunk) => workerMessage('chunk', chunk)), result]).catch(end);
  }
});
stream.on('error', () => process.exit());
stream.on('end', () => process.exit());
stream.write(alive());
