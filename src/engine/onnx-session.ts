/** @file Opens ONNX Runtime sessions. The only file that imports the runtime. */
import * as ort from 'onnxruntime-node';
import { DeepDefenseError } from '../core/index.ts';

export type RuntimeTensor = ort.Tensor;
export const RuntimeTensor = ort.Tensor;
export type Session = ort.InferenceSession;

/** Version of the runtime. */
export const RUNTIME_VERSION: string = ort.env.versions.node ?? ort.env.versions.common;

/** An execution provider of the runtime. */
export type Provider = 'cpu' | 'webgpu' | 'cuda' | 'tensorrt';

export interface SessionOptions {
  readonly provider: Provider;
  /** Index of the device. */
  readonly device: number;
  /** Intra-op threads. */
  readonly threads: number;
}

/** Compiles a model. @throws DeepDefenseError ENGINE_FAILED with the runtime's words */
export async function openSession(name: string, model: Uint8Array, { provider, threads }: SessionOptions): Promise<Session> {
  try {
    return await ort.InferenceSession.create(model, {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      // Gradients that underflow would otherwise slow every multiplication they meet.
      extra: { session: { set_denormal_as_zero: '1' } },
    });
  } catch (cause) {
    throw new DeepDefenseError('ENGINE_FAILED', {
      what: `ONNX Runtime can't compile "${name}"`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'run `deepdefense doctor`; if it passes, report this as a bug with the message above',
      cause,
    });
  }
}
