/** @file Entry of the compute thread: answers requests of the supervisor one by one. Vectors go back by transfer. */
import { parentPort, type TransferListItem } from 'node:worker_threads';
import { collectYoungObjects, DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import { AttackComputer } from './attack-computer.ts';
import { Computer } from './compute.ts';
import { type ComputeReply, type ComputeRequest, END } from './compute-client.ts';
import { ComputeHost } from './compute-host.ts';

const port = parentPort;
if (port === null)
  throw new DeepDefenseError('INTERNAL', { what: 'the compute thread was started as a program', todo: 'run "deepdefense worker"' });
const host = new ComputeHost({
  training: (config, dataset) => Computer.create(config, dataset),
  attacks: (plan, engine, dataset) => AttackComputer.create(plan, engine, dataset),
});

port.on('message', (request: ComputeRequest | typeof END) => {
  // Ends this thread, not the process.
  if (request === END) process.exit();
  const { id, method, args } = request;
  // The supervisor's types guarantee that the arguments fit the method.
  const call = host[method].bind(host) as (...args: readonly unknown[]) => Promise<unknown>;
  call(...args).then(
    (value) => {
      port.postMessage({ id, value } satisfies ComputeReply, transferable(value));
      collectYoungObjects();
    },
    (cause: unknown) => {
      const error = isDeepDefenseError(cause)
        ? cause
        : new DeepDefenseError('ENGINE_FAILED', { what: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause) });
      const { cause: _cause, fields, ...parts } = error.parts;
      port.postMessage({
        id,
        error: { code: error.code, parts: { ...parts, ...(fields === undefined ? {} : { fields: plain(fields) }) } },
      } satisfies ComputeReply);
    },
  );
});

/** Buffers of large vectors in an answer; they are made for it and nobody else holds them. */
function transferable(value: unknown): TransferListItem[] {
  if (value instanceof Float32Array) return owned(value);
  if (typeof value === 'object' && value !== null && 'gradients' in value && value.gradients instanceof Float32Array)
    return owned(value.gradients);
  return [];
}

function owned(vector: Float32Array): TransferListItem[] {
  const whole = vector.byteOffset === 0 && vector.byteLength === vector.buffer.byteLength;
  return whole && vector.buffer instanceof ArrayBuffer ? [vector.buffer] : [];
}

/** Fields that can cross threads whatever they hold. */
function plain(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return JSON.parse(JSON.stringify(fields)) as Record<string, unknown>;
}
