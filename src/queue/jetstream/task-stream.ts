/** @file The work queue of a sweep: the stream of messages about due tasks and the consumer that all workers share. */
import type { ConsumerConfig, ConsumerInfo } from '@nats-io/jetstream';
import { checkConfig, describeStream, ensureStream, JS_ERROR, jetStreamCode, type NatsLink, type SweepNames } from '../../journal/index.ts';
import type { Retries } from '../task-queue.ts';

export interface TaskStreamOptions {
  readonly definition: string;
  readonly leaseMs: number;
  readonly retries: Retries;
  readonly mostClaims?: number | undefined;
}

/** Deliveries beyond those that count: to workers that died before they took the task, looks at a worker that was alive, tasks given back. */
const SPARE_DELIVERIES = 20;
/** Workers that wait for a task at the same time. */
const MOST_WAITING = 16_384;
const MOST_CLAIMS = 100_000;
const DUPLICATES_MS = 120_000;
const NANOSECONDS_PER_MS = 1e6;

/** @throws DeepDefenseError SWEEP_OTHER, NATS_UNSUPPORTED, STORAGE_FAILED, CONNECT_FAILED */
export async function ensureTaskStream(link: NatsLink, names: SweepNames, options: TaskStreamOptions): Promise<void> {
  const { definition, leaseMs, retries, mostClaims = MOST_CLAIMS } = options;
  await ensureStream(link, {
    name: names.taskStream,
    subjects: [`${names.tasks}>`],
    description: describeStream(names.sweep, definition),
    retention: 'workqueue',
    storage: 'file',
    discard: 'new',
    duplicate_window: DUPLICATES_MS * NANOSECONDS_PER_MS,
  });
  const wish: Partial<ConsumerConfig> = {
    durable_name: names.consumer,
    ack_policy: 'explicit',
    deliver_policy: 'all',
    ack_wait: leaseMs * NANOSECONDS_PER_MS,
    max_deliver: retries.errors + retries.preemptions + 1 + SPARE_DELIVERIES,
    max_ack_pending: mostClaims,
    max_waiting: MOST_WAITING,
  };
  const what = `can't make the consumer of "${names.taskStream}"`;
  const { config } = await link.ask(what, () => ensureConsumer(link, names, wish));
  checkConfig(`consumer of "${names.taskStream}"`, wish, config);
}

async function ensureConsumer(link: NatsLink, { taskStream, consumer }: SweepNames, wish: Partial<ConsumerConfig>): Promise<ConsumerInfo> {
  const { consumers } = link.jsm;
  try {
    await consumers.info(taskStream, consumer);
  } catch (error) {
    if (jetStreamCode(error) !== JS_ERROR.CONSUMER_NOT_FOUND) throw error;
    // The client writes into what it is given.
    return consumers.add(taskStream, { ...wish });
  }
  // The lease and the budgets may change from one process of a sweep to the next.
  const { ack_wait = 0, max_deliver = -1, max_ack_pending = -1 } = wish;
  return consumers.update(taskStream, consumer, { ack_wait, max_deliver, max_ack_pending });
}
