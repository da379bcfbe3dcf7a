import { afterEach, describe, expect, it, vi } from 'vitest';
import { DeepDefenseError } from '../../../src/core/index.ts';
import { chooseEngine } from '../../../src/engine/choose-engine.ts';
import * as devices from '../../../src/engine/devices.ts';
import { createEngine, type Engine, type EngineName } from '../../../src/engine/index.ts';

/** An engine that computes on the CPU and then changes or delays what comes out. */
async function altered(name: EngineName, change: (value: number) => number, delayMs: number): Promise<Engine> {
  const engine = await createEngine({ name: 'onnx:cpu', threads: 1 });
  return {
    ...engine,
    name,
    compile: async (program) => {
      const compiled = await engine.compile(program);
      return {
        ...compiled,
        run: async (inputs) => {
          await new Promise((resolve) => setTimeout(resolve, delayMs));
          const outputs = await compiled.run(inputs);
          return Object.fromEntries(Object.entries(outputs).map(([key, value]) => [key, { ...value, data: value.data.map(change) }]));
        },
      };
    },
  };
}

function haveDevices(...names: EngineName[]): void {
  vi.spyOn(devices, 'listDevices').mockImplementation((engine) =>
    names.includes(engine)
      ? { engine, devices: [{ index: 0, name: 'a device' }] }
      : { engine, devices: [], missing: { reason: 'none', todo: 'install' } },
  );
}

const WISH = { threads: 1, device: 0 };

describe('chooseEngine', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('without other devices: the CPU, untried', async () => {
    haveDevices('onnx:cpu');
    const open = vi.fn();
    await expect(chooseEngine(WISH, open)).resolves.toMatchObject({ engine: 'onnx:cpu' });
    expect(open).not.toHaveBeenCalled();
  });

  it('a device that no engine has: is an error, not the CPU', async () => {
    haveDevices('onnx:cpu', 'onnx:cuda');
    await expect(chooseEngine({ threads: 1, device: 5 }, vi.fn())).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' });
  });

  it('takes the fastest', async () => {
    haveDevices('onnx:cpu', 'onnx:cuda');
    const { engine, trials } = await chooseEngine(WISH, ({ name }) => altered(name as EngineName, (x) => x, name === 'onnx:cpu' ? 150 : 0));
    expect(engine).toBe('onnx:cuda');
    expect(trials.map((trial) => trial.engine)).toEqual(['onnx:cpu', 'onnx:cuda']);
  });

  it.each([
    ['wrong', (x: number) => x * 1.01],
    ['NaN', () => Number.NaN],
  ])('passes over an engine whose results are %s, however fast', async (_, change) => {
    haveDevices('onnx:cpu', 'onnx:webgpu');
    const same = (x: number): number => x;
    const { engine, trials } = await chooseEngine(WISH, ({ name }) =>
      altered(name as EngineName, name === 'onnx:cpu' ? same : change, name === 'onnx:cpu' ? 150 : 0),
    );
    expect(engine).toBe('onnx:cpu');
    expect(trials[1]?.problem).toMatch(/differ/);
  });

  it('passes over an engine that can not be opened, and says why', async () => {
    haveDevices('onnx:cpu', 'onnx:cuda');
    const { engine, trials } = await chooseEngine(WISH, async (options) => {
      if (options.name === 'onnx:cpu') return createEngine(options);
      throw new DeepDefenseError('ENGINE_UNAVAILABLE', { what: 'no driver' });
    });
    expect(engine).toBe('onnx:cpu');
    expect(trials[1]).toMatchObject({ engine: 'onnx:cuda', problem: expect.stringContaining('no driver') as string });
  });
});
