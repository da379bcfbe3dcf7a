/**
 * @file Many workers without computation in one process, a child of queue.ts: each has a connection of its own, takes a task, says that it
 * is at it, and commits it. Arguments: backend, address, workers, seconds per task, share of claims that are never ended.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepDefenseError, Random } from '../src/core/index.ts';
import { openNatsLink } from '../src/journal/index.ts';
import { openJetStreamSource, openRemoteSource, type TaskSource } from '../src/queue/index.ts';

/** What the child says to its parent. */
export interface QueueWorkersReport {
  readonly kind: 'connected' | 'ended';
  readonly claims: number;
  /** Claims that were left. */
  readonly silent: number;
  /** Commits that came too late. */
  readonly refused: number;
  readonly peakMiB: number;
}

const [backend, address = '', workers, seconds, silentShare] = process.argv.slice(2);
const random = new Random('order', process.pid);
let [claims, silent, refused] = [0, 0, 0];
const connecting = Array.from({ length: Number(workers) }, open);
const sources = await Promise.all(connecting);
const going = once(process, 'message');
report('connected');
await going;
await Promise.all(sources.map(work));
report('ended');
await sleep(100);
process.exit(0);

async function open(): Promise<TaskSource> {
  if (backend !== 'nats') return openRemoteSource({ address });
  const link = await openNatsLink({ servers: address });
  return openJetStreamSource({ link, sweepId: 'bench' });
}

async function work(source: TaskSource, index: number): Promise<void> {
  const never = new AbortController().signal;
  for (;;) {
    const claim = await source.claim(`${process.pid}-${index}`, never);
    if (claim === undefined) return;
    claims += 1;
    if (random.uniform() < Number(silentShare)) {
      silent += 1;
      continue;
    }
    const beat = setInterval(() => void claim.extend().catch(() => {}), claim.leaseMs / 4);
    await sleep(Number(seconds) * 1000);
    clearInterval(beat);
    try {
      await claim.commit('1');
    } catch (error) {
      if (!isDeepDefenseError(error) || error.code !== 'CLAIM_LOST') throw error;
      refused += 1;
    }
  }
}

function report(kind: QueueWorkersReport['kind']): void {
  process.send?.({ kind, claims, silent, refused, peakMiB: process.resourceUsage().maxRSS / 1024 } satisfies QueueWorkersReport);
}
