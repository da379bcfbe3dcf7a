/** @file The engines that numeric tests run on, and a shorthand to run a program once. */
import { createEngine, type Engine, type EngineName, type Program, type TensorValues } from '../../src/engine/index.ts';

/** Every engine that needs nothing but the npm packages. */
export const ENGINES: readonly EngineName[] = ['eager', 'onnx:cpu'];

const opened = new Map<EngineName, Promise<Engine>>();

/** One engine per name and test file. */
export function engineOf(name: EngineName): Promise<Engine> {
  const engine = opened.get(name) ?? createEngine({ name, threads: 1 });
  opened.set(name, engine);
  return engine;
}

/** Compiles, runs once and disposes. */
export async function runOnce(name: EngineName, program: Program, inputs: TensorValues): Promise<TensorValues> {
  const engine = await engineOf(name);
  const compiled = await engine.compile(program);
  try {
    return await compiled.run(inputs);
  } finally {
    await compiled.dispose();
  }
}

/** Values of an output; fails by name when the program doesn't have it. */
export function valuesOf(outputs: TensorValues, name: string): Float32Array {
  const value = outputs[name];
  if (value === undefined) throw new Error(`no output "${name}" among ${Object.keys(outputs).join(', ')}`);
  return value.data as Float32Array;
}

/** For tests that aren't about the engine. */
export const QUICK_ENGINE: EngineName = 'onnx:cpu';
