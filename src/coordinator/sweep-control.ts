/** @file What operators ask of a sweep at work: to pause, go on, stop, grow, take another share of the workers, or say how it stands. */
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import type { SweepCalls } from '../wire/index.ts';
import type { SweepAnnouncer } from './sweep-announcer.ts';
import type { SweepQueue } from './sweep-backend.ts';
import type { SweepContext } from './sweep-context.ts';
import { checkExtension, checkPriority } from './sweep-definition.ts';
import type { SweepLedger } from './sweep-ledger.ts';

export interface SweepControlOptions {
  readonly queue: SweepQueue;
  readonly ledger: SweepLedger;
  readonly announcer: SweepAnnouncer;
  readonly stop: (reason: string) => Promise<void>;
}

export type ControlRequest = SweepCalls['control']['request'];
export type ControlReply = SweepCalls['control']['reply'];

/** See the file's header. */
export class SweepControl {
  readonly #context: SweepContext;
  readonly #options: SweepControlOptions;

  constructor(context: SweepContext, options: SweepControlOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** What can't be done is answered with the error's code. */
  async answer(request: ControlRequest): Promise<ControlReply> {
    try {
      await this.#do(request);
      return { code: '', message: '', status: JSON.stringify(await this.#status()) };
    } catch (error) {
      if (!isDeepDefenseError(error)) throw error;
      return { code: error.code, message: error.message, status: '' };
    }
  }

  async #do({ action, candidates, priority = 0 }: ControlRequest): Promise<void> {
    const { state, backend, channel, eta, standing } = this.#context;
    const { queue, ledger, announcer, stop } = this.#options;
    const { journal, events } = backend;
    if (action === 'pause' || action === 'resume') {
      standing.paused = action === 'pause';
      await journal.append({ type: 'sweep-controlled', action });
      await queue.hold(standing.paused);
      events.publish(standing.paused ? 'run.paused' : 'run.resumed', { reason: 'asked to' });
      eta.restart();
      await announcer.announce();
      channel.push({ kind: 'controlled', action });
    } else if (action === 'priority') {
      checkPriority(priority);
      this.#assertNotOver();
      await journal.append({ type: 'sweep-controlled', action, priority });
      standing.priority = priority;
      await announcer.announce();
      channel.push({ kind: 'controlled', action });
    } else if (action === 'extend') {
      checkExtension(candidates, state);
      this.#assertNotOver();
      await ledger.extend(candidates);
      events.publish('run.extended', { candidates });
    } else if (action === 'stop') {
      channel.push({ kind: 'controlled', action });
      await stop('asked to stop');
    } else if (action !== 'status') {
      throw new DeepDefenseError('USAGE', {
        what: `a sweep can't be asked for "${action}"`,
        expected: 'status, pause, resume, stop, extend or priority',
      });
    }
  }

  #assertNotOver(): void {
    if (!this.#context.standing.over) return;
    throw new DeepDefenseError('USAGE', {
      what: 'the sweep has just ended',
      todo: 'try again in a moment: it is extended in its folder then',
    });
  }

  async #status(): Promise<object> {
    const { state, standing } = this.#context;
    const byState: Record<string, number> = {};
    for (const { state: each } of state.planner.candidates) byState[each] = (byState[each] ?? 0) + 1;
    return {
      paused: standing.paused,
      priority: standing.priority,
      candidates: byState,
      measurements: state.measurements.size,
      queue: await this.#options.queue.counts(),
    };
  }
}
