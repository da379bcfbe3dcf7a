import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEngine, type Engine } from '../../../src/engine/index.ts';
import { assertComputesLike } from '../../../src/engine/self-test.ts';

let reference: Engine;
beforeAll(async () => {
  reference = await createEngine({ name: 'onnx:cpu', threads: 1 });
});
afterAll(() => reference.dispose());

/** The reference, but for one output. */
function withWrong(output: string, change: (value: number) => number): Engine {
  return {
    ...reference,
    name: 'onnx:webgpu',
    compile: async (program) => {
      const compiled = await reference.compile(program);
      return {
        ...compiled,
        run: async (inputs) => {
          const outputs = await compiled.run(inputs);
          const wrong = outputs[output];
          if (wrong === undefined) return outputs;
          return { ...outputs, [output]: { ...wrong, data: Float32Array.from(wrong.data as Float32Array, change) } };
        },
        dispose: () => compiled.dispose(),
      };
    },
  };
}

describe('self-test', () => {
  it('passes an engine that computes the same, to a few bits', async () => {
    const eager = await createEngine({ name: 'eager', threads: 1 });
    await expect(assertComputesLike(reference, eager)).resolves.toBeUndefined();
    await eager.dispose();
  });

  it.each(['Conv2D', 'MaxPoolGrad', 'second gradient'])('names "%s" when that is the first operation that differs', async (operation) => {
    for (const change of [(value: number) => value * 1.2, () => Number.NaN])
      await expect(assertComputesLike(reference, withWrong(operation, change))).rejects.toMatchObject({
        code: 'ENGINE_UNAVAILABLE',
        parts: { fields: { engine: 'onnx:webgpu', operation } },
      });
  });
});
