/** @file Operators ask the coordinator of a sweep on NATS, from wherever they are; what may be asked is that of the gRPC call `Control`. */
import { DeepDefenseError } from '../core/index.ts';
import { type NatsLink, type NatsOptions, natsError, openNatsLink, sweepNames } from '../journal/index.ts';
import type { SweepHandlers } from '../wire/index.ts';
import type { ControlReply, ControlRequest } from './sweep-control.ts';

const CALL_MS = 5_000;

/** Answers operators. @returns what ends it */
export function answerControl(link: NatsLink, sweepId: string, control: SweepHandlers['control']): () => void {
  const subscription = link.connection.subscribe(sweepNames(sweepId).control, {
    callback: (error, message) => {
      if (error !== null) return;
      const answer = async (): Promise<ControlReply> => control(requestOf(message.string()), new AbortController().signal);
      void answer()
        .catch((cause: unknown): ControlReply => {
          const code = cause instanceof DeepDefenseError ? cause.code : 'INTERNAL';
          return { code, message: cause instanceof Error ? cause.message : String(cause), status: '' };
        })
        .then((reply) => {
          // Whoever asked has a time limit.
          if (!link.isClosed) message.respond(JSON.stringify(reply));
        });
    },
  });
  return () => {
    if (!link.isClosed) subscription.unsubscribe();
  };
}

/**
 * Asks the coordinator of a sweep.
 * @returns undefined when none runs; else its status
 * @throws DeepDefenseError that the coordinator answers with; CONNECT_FAILED, NATS_UNSUPPORTED
 */
export async function askByNats(
  sweepId: string,
  request: ControlRequest,
  nats: NatsOptions,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const link = await openNatsLink(nats);
  try {
    const { control } = sweepNames(sweepId);
    const answer = await link.connection.request(control, JSON.stringify(request), { timeout: CALL_MS });
    const { code, message, status } = answer.json<ControlReply>();
    if (code !== '') throw new DeepDefenseError(code as 'USAGE', { what: message });
    return JSON.parse(status) as Record<string, unknown>;
  } catch (error) {
    if (hasNoAnswer(error)) return undefined;
    throw natsError(`can't ask the coordinator of "${sweepId}"`, nats.servers, error);
  } finally {
    await link.close();
  }
}

/** Nobody listens, or the one who did has died. */
function hasNoAnswer(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { name } = error.cause instanceof Error ? error.cause : error;
  return name === 'NoResponders' || name === 'TimeoutError';
}

/** @throws DeepDefenseError PROTOCOL_BAD_MESSAGE */
function requestOf(text: string): ControlRequest {
  try {
    const { action, candidates = 0, priority = 0 } = JSON.parse(text) as Partial<ControlRequest>;
    if (typeof action === 'string' && typeof candidates === 'number' && typeof priority === 'number')
      return { action, candidates, priority };
  } catch {
    // Not JSON: said below.
  }
  throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
    what: 'what the coordinator of a sweep was asked is no request',
    expected: '{"action": "status"}',
    got: JSON.stringify(text.slice(0, 80)),
  });
}
