/** @file Chooses an engine by its name. */
import { DeepDefenseError } from '../core/index.ts';
import { createEagerEngine } from './eager-engine.ts';
import type { Engine, EngineOptions } from './types.ts';

/** Opens an engine. @throws DeepDefenseError ENGINE_UNAVAILABLE when it can't run here; never falls back to another one. */
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
      return createTensorflowEngine({ threads, device });
    }
    case 'onnx:cpu':
    case 'onnx:webgpu':
    case 'onnx:cuda':
    case 'onnx:tensorrt': {
      const { createOnnxEngine } = await loadOnnxEngine(name);
      return createOnnxEngine({ name, threads, device });
    }
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
