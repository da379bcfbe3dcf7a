/**
 * @file Messages of the stream of tasks, one at a time. A request for one can't be taken back: when nobody waits for it any more it is
 * kept for whoever asks next, and what it brings meanwhile is returned to the stream.
 */
import type { Consumer, JsMsg } from '@nats-io/jetstream';
import { type NatsLink, natsError } from '../../journal/index.ts';

/** After it, a request ends without a message. */
const PULL_MS = 5_000;

interface Pull {
  readonly message: Promise<JsMsg | null>;
  received: JsMsg | null;
  isAwaited: boolean;
}

export class MessagePulls {
  readonly #link: NatsLink;
  readonly #consumer: Consumer;
  /** Requests under way that nobody waits for. */
  readonly #idle = new Set<Pull>();
  #closed = false;

  constructor(link: NatsLink, consumer: Consumer) {
    this.#link = link;
    this.#consumer = consumer;
  }

  /**
   * @param interrupted ends the wait
   * @returns undefined when there was none for some seconds, or on interruption
   * @throws DeepDefenseError CONNECT_FAILED when the consumer is gone
   */
  async next(interrupted: Promise<unknown>): Promise<JsMsg | undefined> {
    const [idle] = this.#idle;
    const pull = idle ?? this.#start();
    this.#idle.delete(pull);
    pull.isAwaited = true;
    const first = await Promise.race([pull.message, interrupted.then(() => undefined)]);
    if (first !== undefined) return first ?? undefined;
    // It came in the same turn as the interruption.
    if (pull.received !== null) return pull.received;
    pull.isAwaited = false;
    if (!this.#closed) this.#idle.add(pull);
    return undefined;
  }

  /** True when there are messages that nobody has been given yet. */
  async hasSome(): Promise<boolean> {
    return (await this.#consumer.info()).num_pending > 0;
  }

  /** Requests that were under way when the connection was lost bring nothing any more. */
  forget(): void {
    this.#idle.clear();
  }

  close(): void {
    this.#closed = true;
    this.#idle.clear();
  }

  #start(): Pull {
    const message = this.#consumer.next({ expires: PULL_MS }).catch((error: unknown) => {
      // The loss of the connection is the link's to tell.
      if (!this.#link.isConnected) return null;
      throw natsError("can't ask for a task", this.#link.servers, error);
    });
    const pull: Pull = { message, received: null, isAwaited: true };
    message.then(
      (received) => {
        this.#idle.delete(pull);
        if (pull.isAwaited) pull.received = received;
        else received?.nak();
      },
      () => this.#idle.delete(pull),
    );
    return pull;
  }
}
