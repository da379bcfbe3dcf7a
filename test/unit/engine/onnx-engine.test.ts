import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TensorValue } from '../../../src/core/index.ts';
import { captureProgram } from '../../../src/engine/capture-program.ts';
import { type Engine, type Program, tf } from '../../../src/engine/index.ts';
import { createOnnxEngine } from '../../../src/engine/onnx-engine.ts';
import { partition } from '../../../src/engine/partition.ts';

const vector = (...data: number[]): TensorValue => ({ shape: [data.length], dtype: 'float32', data: Float32Array.from(data) });
const program = (build: Program['build'], names: string[] = ['x'], shape = [3]): Program => ({
  name: 'test/program',
  inputs: names.map((name) => ({ name, shape, dtype: 'float32' })),
  build,
});

let engine: Engine;
beforeAll(async () => {
  engine = await createOnnxEngine({ name: 'onnx:cpu', threads: 1 });
});
afterAll(() => engine.dispose());

describe('capture', () => {
  test('names the operation when it is not supported', async () => {
    const compile = engine.compile(program(({ x }) => ({ y: tf.cumsum(x as never) })));
    await expect(compile).rejects.toMatchObject({ code: 'ENGINE_UNSUPPORTED_OP', message: expect.stringContaining('"Cumsum"') });
  });

  test('says that control flow cannot depend on values when a program reads one', async () => {
    const compile = engine.compile(
      program(({ x }) => ({ y: (tf.sum(tf.exp(x as never)).dataSync()[0] as number) > 1 ? tf.neg(x as never) : (x as never) })),
    );
    await expect(compile).rejects.toMatchObject({ code: 'ENGINE_READ_DURING_CAPTURE', message: expect.stringContaining('"Sum"') });
  });

  test('leaves the engine usable after a failure', async () => {
    await expect(engine.compile(program(({ x }) => ({ y: tf.cumsum(x as never) })))).rejects.toThrow();
    const compiled = await engine.compile(program(({ x }) => ({ y: tf.mul(x as never, 2) })));
    expect([...(await compiled.run({ x: vector(1, 2, 5) })).y!.data]).toEqual([2, 4, 10]);
  });

  test('keeps no node for transposes that cancel, uniform constants and repeated work', () => {
    const captured = captureProgram(
      program(
        ({ x }) => {
          const turned = tf.transpose(tf.transpose(x as never, [1, 0]), [1, 0]);
          const shifted = tf.add(tf.mul(turned, tf.ones([2, 3])), tf.zeros([2, 3]));
          return { y: tf.add(tf.exp(shifted), tf.exp(shifted)) };
        },
        ['x'],
        [2, 3],
      ),
      1,
    );
    expect(captured.graph.nodes.map((node) => node.op)).toEqual(['Exp', 'Add']);
  });

  test('keeps tensors of the library balanced', async () => {
    const before = tf.memory().numTensors;
    for (let i = 0; i < 3; i++)
      captureProgram(
        program(({ x }) => ({ y: tf.softmax(x as never) })),
        1,
      );
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('compiled program', () => {
  test.each([
    ['missing', {}, 'nothing'],
    ['of another shape', { x: vector(1, 2) }, 'float32 [2]'],
    ['of another dtype', { x: { shape: [3], dtype: 'int32', data: Int32Array.of(1, 2, 3) } as const }, 'int32 [3]'],
  ])('refuses an input that is %s', async (_, inputs, got) => {
    const compiled = await engine.compile(program(({ x }) => ({ y: tf.neg(x as never) })));
    await expect(compiled.run(inputs as never)).rejects.toMatchObject({ code: 'ENGINE_BAD_INPUT', message: expect.stringContaining(got) });
  });

  test('computes the prologue again when a stable input changes', async () => {
    const scaled: Program = { ...program(({ w, x }) => ({ y: tf.add(tf.exp(w as never), x as never) }), ['w', 'x']), stableInputs: ['w'] };
    const captured = captureProgram(scaled, 1);
    expect(partition('p', captured, ['w']).prologue?.nodeCount).toBe(1);
    const compiled = await engine.compile(scaled);
    const w = vector(0, 0, 0);
    expect([...(await compiled.run({ w, x: vector(1, 2, 3) })).y!.data]).toEqual([2, 3, 4]);
    expect([...(await compiled.run({ w, x: vector(4, 5, 6) })).y!.data]).toEqual([5, 6, 7]);
    expect((await compiled.run({ w: vector(1, 1, 1), x: vector(0, 0, 0) })).y!.data[0]).toBeCloseTo(Math.E, 6);
  });

  test('gives the same bits in every session', async () => {
    const image = tf.tidy(() => tf.randomUniform([8, 6, 6, 8], -1, 1, 'float32', 3).dataSync() as Float32Array);
    const convolve: Program = {
      name: 'bits',
      inputs: [{ name: 'x', shape: [8, 6, 6, 8], dtype: 'float32' }],
      build: ({ x }) => ({
        y: tf.grad((v) => tf.sum(tf.square(tf.conv2d(v as never, tf.ones([3, 3, 8, 8]).mul(0.1) as never, 1, 'same'))))(x as never),
      }),
    };
    const x: TensorValue = { shape: [8, 6, 6, 8], dtype: 'float32', data: image };
    const other = await createOnnxEngine({ name: 'onnx:cpu', threads: 1 });
    const [a, b] = await Promise.all([engine, other].map(async (e) => (await (await e.compile(convolve)).run({ x })).y!.data));
    expect(Buffer.from(a!.buffer).equals(Buffer.from(b!.buffer))).toBe(true);
    await other.dispose();
  });
});
