/**
 * @file A version of the parameters, encoded once for all workers. Encoding copies the values, so the optimiser may go on changing the
 * vector while slow workers still receive; and each further worker costs no encoding.
 */
import { coordinatorMessage, loadProto, TensorSender } from '../wire/index.ts';

export interface ParameterSnapshot {
  /** Committed steps that led to these values. */
  readonly version: number;
  /** Bytes of the vector. */
  readonly byteLength: number;
  /** Serialised messages in order: the chunks, then ParametersReady. */
  readonly messages: readonly Buffer[];
}

/** Encodes a version. Its transfer id is version + 1: the coordinator's streams carry no other tensors, and each version at most once. */
export function encodeParameters(version: number, values: Float32Array): ParameterSnapshot {
  const { responseSerialize } = loadProto().Work;
  const transferId = version + 1;
  const chunks = new TensorSender()
    .split(values)
    .chunks.map((chunk) => responseSerialize(coordinatorMessage('chunk', { ...chunk, transferId })));
  const last = responseSerialize(coordinatorMessage('parametersReady', { version, transferId }));
  return { version, byteLength: values.byteLength, messages: [...chunks, last] };
}
