import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readWeights } from '../../../src/cli/weights-source.ts';
import { defaultNetwork, parameterSpecs, resolveConfig } from '../../../src/config/index.ts';
import { saveCheckpoint } from '../../../src/coordinator/index.ts';
import { sizeOf } from '../../../src/core/index.ts';
import { encodeSafetensors, type NamedTensor } from '../../../src/wire/index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weights-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Parameters of cnn3 that count up from `first`. */
function countingTensors(first: number): NamedTensor[] {
  let next = first;
  return parameterSpecs(defaultNetwork('cnn3')).map(({ name, shape }) => ({
    name,
    value: { shape, dtype: 'float32', data: Float32Array.from({ length: sizeOf(shape) }, () => next++) },
  }));
}

describe('readWeights', () => {
  it('weights: are flat in schema order, whatever the order in the file', async () => {
    const file = join(folder, 'reversed.safetensors');
    await writeFile(file, encodeSafetensors(countingTensors(5).reverse(), { model: 'cnn3', inputRange: 'signed' }));
    const weights = await readWeights(file);
    expect(weights).toMatchObject({ network: { name: 'cnn3', inputRange: 'signed', denoise: { filter: 'none' } }, file });
    expect(weights.parameters).toEqual(Float32Array.from({ length: 146_122 }, (_, i) => i + 5));
  });

  it('run folder: gives its newest checkpoint until it has final weights', async () => {
    const run = join(folder, 'run');
    const parameters = Float32Array.from({ length: 146_122 }, (_, i) => i / 7);
    await saveCheckpoint(join(run, 'checkpoints', 'step-00000009.safetensors'), {
      runId: 'run',
      step: 9,
      position: 90,
      config: resolveConfig({ model: { name: 'cnn3', inputRange: 'signed' } }),
      datasetHash: 'd',
      engineFingerprint: 'e',
      journalSequence: 1,
      journalHash: 'j',
      cleanAccuracy: null,
      parameters,
      optimizer: { updates: 9, slots: new Map([['m', new Float32Array(146_122)]]) },
    });
    const before = await readWeights(run);
    expect(before).toMatchObject({ network: { name: 'cnn3', inputRange: 'signed' }, parameters });
    expect(before.tensors).toHaveLength(10);
    await writeFile(join(run, 'weights.safetensors'), encodeSafetensors(countingTensors(1), { model: 'cnn3', inputRange: 'unit' }));
    expect((await readWeights(run)).parameters[0]).toBe(1);
  });

  it.each([
    ['names no model', countingTensors(0), {}, 'CHECKPOINT_OTHER_MODEL'],
    ['names an unknown model', countingTensors(0), { model: 'resnet', inputRange: 'unit' }, 'CHECKPOINT_OTHER_MODEL'],
    ['has the tensors of another model', countingTensors(0), { model: 'vgg6', inputRange: 'unit' }, 'CHECKPOINT_OTHER_MODEL'],
    ['lacks a tensor', countingTensors(0).slice(1), { model: 'cnn3', inputRange: 'unit' }, 'CHECKPOINT_OTHER_MODEL'],
  ])('file: is refused when it %s', async (_, tensors, metadata, code) => {
    const file = join(folder, 'bad.safetensors');
    await writeFile(file, encodeSafetensors(tensors, metadata));
    await expect(readWeights(file)).rejects.toMatchObject({ code });
  });

  it('file: may be told the model that it does not name, not another than it names', async () => {
    const bare = join(folder, 'bare.safetensors');
    await writeFile(bare, encodeSafetensors(countingTensors(2)));
    expect(await readWeights(bare, { ...defaultNetwork('cnn3'), inputRange: 'signed' })).toMatchObject({
      network: { name: 'cnn3', inputRange: 'signed' },
    });
    await expect(readWeights(bare, defaultNetwork('vgg6'))).rejects.toMatchObject({ code: 'CHECKPOINT_OTHER_MODEL' });
    const named = join(folder, 'named.safetensors');
    await writeFile(named, encodeSafetensors(countingTensors(2), { model: 'cnn3', inputRange: 'unit' }));
    expect(await readWeights(named, { ...defaultNetwork('vgg6'), inputRange: 'signed' })).toMatchObject({
      network: { name: 'cnn3', inputRange: 'unit' },
    });
  });

  it('file: is refused when truncated, missing or an empty folder', async () => {
    const file = join(folder, 'short.safetensors');
    await writeFile(file, encodeSafetensors(countingTensors(0), { model: 'cnn3', inputRange: 'unit' }).subarray(0, 5000));
    await expect(readWeights(file)).rejects.toMatchObject({ code: 'CHECKPOINT_TRUNCATED', exitCode: 5 });
    await expect(readWeights(join(folder, 'none'))).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' });
    await mkdir(join(folder, 'empty'));
    await expect(readWeights(join(folder, 'empty'))).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' });
  });
});
