import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readNetworks } from '../../../src/cli/evaluated-network.ts';
import { defaultNetwork, parameterSpecs, resolveConfig } from '../../../src/config/index.ts';
import { parametersHash } from '../../../src/coordinator/index.ts';
import { sizeOf } from '../../../src/core/index.ts';
import { encodeSafetensors } from '../../../src/wire/index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'networks-'));
});
afterAll(() => rm(folder, { recursive: true }));

const specs = parameterSpecs(defaultNetwork('cnn3'));
const LENGTH = specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
const bytes = (metadata: Record<string, string>) =>
  encodeSafetensors(
    specs.map(({ name, shape }) => ({ name, value: { shape, dtype: 'float32', data: new Float32Array(sizeOf(shape)) } })),
    metadata,
  );

/** A run folder of cnn3 with zeros for weights. */
async function runFolder(name: string, config: string, result: object): Promise<string> {
  const run = join(folder, name);
  await mkdir(run);
  const metadata = { model: 'cnn3', inputRange: 'unit', strategy: 'deep', datasetHash: 'd1' };
  await writeFile(join(run, 'weights.safetensors'), bytes(metadata));
  await writeFile(join(run, 'config.yaml'), config);
  await writeFile(join(run, 'result.json'), JSON.stringify(result));
  return run;
}

describe('readNetworks', () => {
  const weightsSha256 = parametersHash(new Float32Array(LENGTH));
  const result = { weightsSha256, seconds: 60, epochs: 2, samplesPerSecond: 900, workers: { joined: 3 } };

  it('reads config and training of run folders, and numbers labels that come twice', async () => {
    const yaml = 'seed: 5\nmodel: {name: cnn3}\nobjective: {loss: mse}\nstrategy: {name: deep}\n';
    const run = await runFolder('run', yaml, result);
    const notices: string[] = [];
    const networks = await readNetworks([run, join(run, 'weights.safetensors')], undefined, (text) => notices.push(text));
    expect(networks.map(({ model }) => model.label)).toEqual(['deep', 'deep-2']);
    for (const { model, network, datasetHash } of networks) {
      expect(model).toMatchObject({ strategy: 'deep', model: 'cnn3', loss: 'mse', seed: 5, weightsSha256 });
      expect(model.training).toEqual({ seconds: 60, epochs: 2, samplesPerSecond: 900, workers: 3 });
      expect(network.config.objective.loss).toBe('mse');
      expect(datasetHash).toBe('d1');
    }
    expect(notices).toEqual([]);
  });

  it('takes neither the config of another model nor the result of other weights', async () => {
    const run = await runFolder('other', 'model: {name: vgg6}\n', { ...result, weightsSha256: 'x' });
    const notices: string[] = [];
    const [found] = await readNetworks([run], undefined, (text) => notices.push(text));
    expect(found?.model).toMatchObject({ label: 'deep', loss: 'unknown', seed: -1, config: {} });
    expect(found?.model.training).toBeUndefined();
    expect(notices).toEqual([`${run} has no config: its training loss and its seed are unknown`]);
  });

  it('takes what a file lacks from the config that the user names', async () => {
    const lonely = join(folder, 'lonely');
    await mkdir(lonely);
    const file = join(lonely, 'bare.safetensors');
    await writeFile(file, bytes({}));
    const config = resolveConfig({ seed: 9, model: { name: 'cnn3', inputRange: 'signed' } });
    const [found] = await readNetworks([file], config, () => {});
    expect(found?.model).toMatchObject({ inputRange: 'signed', loss: 'cross-entropy', seed: 9 });
    await expect(readNetworks([file], undefined, () => {})).rejects.toMatchObject({ code: 'CHECKPOINT_OTHER_MODEL' });
  });
});
