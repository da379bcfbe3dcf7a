/** @file Writing many messages to a stream without filling memory when the peer is slow. */
import type { Writable } from 'node:stream';
import { DeepDefenseError } from '../core/index.ts';

/** The part of a gRPC stream that {@link sendAll} needs. */
export type MessageSink<Message> = Pick<Writable, 'once' | 'off' | 'destroyed' | 'writableEnded' | 'writableNeedDrain'> & {
  write(message: Message): boolean;
};

/**
 * Writes the messages in order and waits for 'drain' whenever the stream says it is full. Resolves when the last one was handed to
 * the stream (not when the peer has it). Several calls may run on one stream: their messages interleave, each call's stay in order.
 * @throws DeepDefenseError CONNECT_FAILED when the stream is closed or fails on the way; the signal's reason when aborted.
 */
export async function sendAll<Message>(stream: MessageSink<Message>, messages: Iterable<Message>, signal?: AbortSignal): Promise<void> {
  for (const message of messages) {
    signal?.throwIfAborted();
    // A loop, because another caller may have filled the stream again between 'drain' and this turn.
    while (isOpen(stream) && stream.writableNeedDrain) await drained(stream, signal);
    if (!isOpen(stream)) throw closedError();
    stream.write(message);
  }
}

function isOpen(stream: MessageSink<never>): boolean {
  return !stream.destroyed && !stream.writableEnded;
}

function drained(stream: MessageSink<never>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      stream.off('drain', onDrain);
      stream.off('close', onClose);
      stream.off('finish', onClose);
      stream.off('error', onError);
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    const onDrain = () => finish(resolve);
    const onClose = () => finish(() => reject(closedError()));
    const onError = (cause: unknown) => finish(() => reject(closedError(cause)));
    const onAbort = () => finish(() => reject(signal?.reason as Error));
    stream.once('drain', onDrain);
    stream.once('close', onClose);
    stream.once('finish', onClose);
    stream.once('error', onError);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function closedError(cause?: unknown): DeepDefenseError {
  return new DeepDefenseError('CONNECT_FAILED', {
    what: 'the stream to the peer closed while a message was being sent',
    ...(cause instanceof Error ? { got: cause.message, cause } : {}),
    todo: 'nothing: a worker reconnects by itself, and its work is leased again',
  });
}
