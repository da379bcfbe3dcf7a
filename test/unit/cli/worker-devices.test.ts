import { describe, expect, it } from 'vitest';
import { placesOf } from '../../../src/cli/worker-devices.ts';
import type { EngineName } from '../../../src/core/index.ts';
import { type EngineDevices, listDevices } from '../../../src/engine/index.ts';

const gpu = (index: number) => ({ index, name: `GPU ${index}`, driver: '550' });
const machine =
  (gpus: number) =>
  (engine: EngineName): EngineDevices => {
    if (engine === 'onnx:cpu' || engine === 'eager') return { engine, devices: [{ index: 0, name: 'CPU' }] };
    if (engine === 'onnx:cuda' && gpus > 0) return { engine, devices: Array.from({ length: gpus }, (_, i) => gpu(i)) };
    return { engine, devices: [], missing: { reason: 'nothing here', todo: 'install it' } };
  };

describe('placesOf', () => {
  it('all: one place per GPU where there are some', () => {
    expect(placesOf('all', 'auto', machine(2), 8)).toEqual([
      { engine: 'onnx:cuda', device: 0, name: 'GPU 0' },
      { engine: 'onnx:cuda', device: 1, name: 'GPU 1' },
    ]);
  });

  it('all: one place per core on a machine without', () => {
    const places = placesOf('all', 'auto', machine(0), 3);
    expect(places.map(({ engine, device }) => [engine, device])).toEqual(Array(3).fill(['onnx:cpu', 0]));
  });

  it('works with the real list of devices', () => {
    expect(placesOf('all', 'onnx:cpu', listDevices, 2)).toHaveLength(2);
    expect(placesOf('all', 'auto', listDevices, 2).length).toBeGreaterThan(0);
  });

  it('a list: those devices in that order', () => {
    expect(placesOf('2,0', 'onnx:cuda', machine(3)).map(({ device }) => device)).toEqual([2, 0]);
    expect(placesOf('1', 'onnx:cpu', machine(3), 2)).toHaveLength(1);
  });

  it.each(['3', '-1', '', 'x', '0,,1', '0.5'])('index "%s" out of range: says what there is', (wish) => {
    expect(() => placesOf(wish, 'onnx:cuda', machine(2))).toThrow(/expected: "all", or some of 0, 1 separated by commas/);
  });

  it('an engine without a device: says why and what to install', () => {
    expect(() => placesOf('all', 'onnx:webgpu', machine(2))).toThrow(/nothing here[\s\S]*install it/);
  });
});
