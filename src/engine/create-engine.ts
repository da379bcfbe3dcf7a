/** @file Chooses an engine by its name. */
import { DeepDefenseError } from '../core/index.ts';
import { createEagerEngine } from './eager-engine.ts';
import type { Engine, EngineOptions } from './types.ts';

/**
 * Opens an engine; one that doesn't compute on the CPU through ONNX Runtime, or in JavaScript, must first agree with the CPU.
 * @throws DeepDefenseError ENGINE_UNAVAILABLE when it can't run here or computes something else; never falls back to another one.
 */
export async function createEngine({ name, threads, device = 0 }: EngineOptions): Promise<Engine> {
  switch (name) {
    case 'auto': {
      const { chooseEngine } = await import('./choose-engine.ts');
      const { engine, trials } = await chooseEngine({ threads, device }, createEngine);
      const passedOver = trials.flatMap((trial) => (trial.problem === undefined ? [] : [`${trial.engine}: ${trial.problem}`]));
      if (passedOver.length > 0) process.emitWarning(`engine.name auto takes ${engine} and passes over ${passedOver.join('; ')}`);
      return createEngine({ name: engine, threads, device: engine === 'onnx:cpu' ? 0 : device });
    }
    case 'eager':
      return createEagerEngine();
    case 'tensorflow': {
      const { createTensorflowEngine } = await import('./tensorflow-engine.ts');
      return verified(await createTensorflowEngine({ threads, device }));
    }
    case 'onnx:cpu':
    case 'onnx:webgpu':
    case 'onnx:cuda':
    case 'onnx:tensorrt': {
      const { createOnnxEngine } = await loadOnnxEngine(name);
      const engine = await createOnnxEngine({ name, threads, device });
      return name === 'onnx:cpu' ? engine : verified(engine);
    }
  }
}

/** The engine, once it has passed its self-test. */
async function verified(engine: Engine): Promise<Engine> {
  const { assertComputesLike } = await import('./self-test.ts');
  const reference = await createEngine({ name: 'onnx:cpu', threads: 1 });
  try {
    await assertComputesLike(reference, engine);
    return engine;
  } catch (error) {
    await engine.dispose();
    throw error;
  } finally {
    await reference.dispose();
  }
}

/** The runtime is a native library, so loading it can fail on a machine that it was not built for. */
async function loadOnnxEngine(name: string): Promise<typeof import('./onnx-engine.ts')> {
  try {
    return await import('./onnx-engine.ts');
  } catch (cause) {
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: `the engine "${name}" can't be loaded`,
      expected: 'onnxruntime-node with a library for this platform',
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'run `npm ci` again; ONNX Runtime serves linux and win32 on x64 and arm64, and darwin on arm64',
      cause,
    });
  }
}
