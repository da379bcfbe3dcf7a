import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../../src/config/index.ts';
import { placementsOf } from '../../../src/cli/sweep/gang-run.ts';
import type { EngineDevices } from '../../../src/engine/index.ts';

const devicesOf =
  (gpus: number) =>
  (engine: string): EngineDevices =>
    ({
      engine,
      devices:
        engine === 'onnx:cuda'
          ? Array.from({ length: gpus }, (_, index) => ({ index, name: `GPU ${index}`, driver: '1' }))
          : engine === 'onnx:cpu'
            ? [{ index: 0, name: 'processor' }]
            : [],
    }) as unknown as EngineDevices;

const config = resolveConfig({ engine: { name: 'auto' } });

describe('placements of a gang', () => {
  it('leave a worker that is alone where it is', () => {
    expect(placementsOf(1, { device: 2 }, config, devicesOf(4))).toEqual([{ device: 2 }]);
  });

  it('are devices of their own from the first one on, as far as there are any', () => {
    const devices = (gang: number, first: number) =>
      placementsOf(gang, { device: first }, config, devicesOf(4)).map(({ device }) => device);
    expect(devices(2, 0)).toEqual([0, 1]);
    expect(devices(2, 2)).toEqual([2, 3]);
    expect(devices(3, 3)).toEqual([3, 0, 1]);
    expect(devices(6, 0)).toEqual([0, 1, 2, 3, 0, 1]);
  });

  it('are threads on a processor', () => {
    expect(placementsOf(3, { engine: 'onnx:cpu' }, config, devicesOf(4)).map(({ device }) => device)).toEqual([0, 0, 0]);
  });
});
