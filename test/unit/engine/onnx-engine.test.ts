import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TensorValue } from '../../../src/core/index.ts';
import { captureProgram } from '../../../src/engine/capture-program.ts';
import { providerLibraryMissing } from '../../../src/engine/devices.ts';
import { type Engine, type Program, tf } from '../../../src/engine/index.ts';
import { createOnnxEngine } from '../../../src/engine/onnx-engine.ts';
import { checkProvider, runtimeError, startError } from '../../../src/engine/onnx-providers.ts';
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

describe('providers', () => {
  test('onnx:cpu: refuses a device beyond the only one', async () => {
    await expect(createOnnxEngine({ name: 'onnx:cpu', threads: 1, device: 1 })).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      parts: { got: 'device 1', todo: 'set engine.device to 0' },
    });
  });

  const here = (provider: 'cuda' | 'tensorrt'): string => (providerLibraryMissing(provider) ? '' : ' (skipped: the library is installed)');
  for (const provider of ['cuda', 'tensorrt'] as const)
    test.skipIf(!providerLibraryMissing(provider))(
      `onnx:${provider}: says what to install where its library is missing${here(provider)}`,
      async () => {
        const open = createOnnxEngine({ name: `onnx:${provider}`, threads: 1 });
        await expect(open).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE', message: expect.stringContaining(`"onnx:${provider}"`) });
        const { reason, todo } = providerLibraryMissing(provider) ?? {};
        await expect(open).rejects.toMatchObject({ parts: { got: reason, todo, expected: `ONNX Runtime's ${provider} provider` } });
      },
    );

  const withGpus = (listed: string) => ({
    env: {},
    platform: 'linux',
    arch: 'x64',
    cpu: '',
    run: () => listed,
    exists: () => true,
    list: () => [],
    read: () => undefined,
    packageFolder: () => '/m',
  });
  test.each([
    ['0, T4, 550, GPU-1\n1, A100, 550, GPU-2\n', 'a device from 0 to 1', 'device 2 where there are T4, A100'],
    ['', 'a GPU', 'device 2 where there is none'],
  ])('onnx:cuda: refuses a device that nvidia-smi does not list', (listed, expected, got) => {
    const check = () => checkProvider({ provider: 'cuda', device: 2 }, withGpus(listed));
    expect(check).toThrowError(expect.objectContaining({ code: 'ENGINE_UNAVAILABLE', parts: expect.objectContaining({ expected, got }) }));
  });

  test.each([
    [
      'cuda',
      'Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file',
      'cuDNN 9',
    ],
    ['tensorrt', 'libnvinfer.so.10: cannot open shared object file', 'TensorRT 10'],
    ['webgpu', "Invalid argument: sessionOptions.executionProviders[0] is unsupported: 'webgpu'.", 'Linux and Windows x64'],
  ] as const)('onnx:%s: says what to do about the failure of a start', (provider, message, todo) => {
    const error = startError(provider, new Error(message));
    expect(error).toMatchObject({ code: 'ENGINE_UNAVAILABLE', parts: { got: message, todo: expect.stringContaining(todo) } });
  });
});

describe('out of memory', () => {
  const image = (samples: number) => ({ name: 'image', shape: [samples, 32, 32, 3], dtype: 'float32' as const });
  const parameters = { name: 'parameters', shape: [3000, 2], dtype: 'float32' as const };
  const failure = (message: string, name = 'train/deep/vgg6', samples = 16) =>
    runtimeError('ONNX Runtime failed', new Error(message), 'report this', {
      name,
      inputs: [parameters, image(samples)],
      stableInputs: ['parameters'],
    });

  test.each([
    'Failed to allocate memory for requested buffer of size 2147483648',
    'BFC Arena ran out of memory trying to allocate 1024 bytes',
    'CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);',
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED',
    'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY',
    'std::bad_alloc',
  ])('%s: names a smaller shard', (message) => {
    expect(failure(message)).toMatchObject({
      code: 'ENGINE_FAILED',
      parts: { got: message, todo: expect.stringContaining('train.batchSize / train.shards is 16; try 8: train.shards times 2') },
    });
  });

  test('names the setting that the program has', () => {
    const todo = (name: string, samples: number) => failure('out of memory', name, samples).parts.todo;
    expect(todo('predict/vgg6/100', 100)).toContain('evaluation.batchSize is 100; try 50');
    expect(todo('train/first/vgg6', 5)).toContain('is 5; try 2: train.shards times 3');
    expect(todo('train/first/vgg6', 1)).toContain('smaller model');
    expect(runtimeError('x', 'out of memory', 'report this').parts.todo).toContain('train.batchSize / train.shards');
  });

  test('is not what other failures are taken for', () => {
    expect(failure('Non-zero status code returned while running Conv node').parts.todo).toBe('report this');
    expect(failure('WebGPU device lost (1): reset').parts.todo).toContain('train.shards');
  });
});
