/** @file Chooses an engine by its name. */
import { createEagerEngine } from './eager-engine.ts';
import { createOnnxEngine } from './onnx-engine.ts';
import type { Engine, EngineOptions } from './types.ts';

/** Opens an engine. @throws DeepDefenseError ENGINE_UNAVAILABLE when it can't run here; never falls back to another one. */
export async function createEngine({ name, threads }: EngineOptions): Promise<Engine> {
  switch (name) {
    case 'eager':
      return createEagerEngine();
    case 'onnx:cpu':
      return createOnnxEngine(threads);
  }
}
