import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultNetwork, type Config, configSchema, parameterSpecs } from '../../../src/config/index.ts';
import { sizeOf } from '../../../src/core/index.ts';
import { type Checkpoint, encodeCheckpoint, loadCheckpoint, parametersHash, saveCheckpoint } from '../../../src/coordinator/checkpoint.ts';
import { CheckpointFolder, loadNewestCheckpoint } from '../../../src/coordinator/checkpoint-folder.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../src/wire/index.ts';

const config: Config = configSchema.parse({ model: { name: 'cnn3' }, optimizer: { name: 'adam' } });
const LENGTH = parameterSpecs(defaultNetwork('cnn3')).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
const vector = (offset: number) => Float32Array.from({ length: LENGTH }, (_, i) => Math.fround((i % 1009) * 0.01 - offset));

const checkpoint = (changes: Partial<Checkpoint> = {}): Checkpoint => ({
  runId: 'run-1',
  step: 400,
  position: 400 * 128,
  config,
  datasetHash: 'd'.repeat(64),
  engineFingerprint: 'onnx:cpu 1 thread',
  journalSequence: 17,
  journalHash: 'a'.repeat(64),
  cleanAccuracy: 0.625,
  parameters: vector(1),
  optimizer: {
    updates: 400,
    slots: new Map([
      ['firstMoment', vector(2)],
      ['secondMoment', vector(3)],
    ]),
  },
  ...changes,
});

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'checkpoint-'));
  path = join(folder, 'checkpoints', 'step-00000400.safetensors');
});
afterEach(() => rm(folder, { recursive: true }));

describe('checkpoint', () => {
  it('file: comes back with every field and every bit', async () => {
    const receipt = await saveCheckpoint(path, checkpoint());
    const [loaded, saved] = [await loadCheckpoint(path, { config, datasetHash: 'd'.repeat(64) }), checkpoint()];
    // Vectors are compared as bytes: faster than value by value, and -0 differs from 0.
    const plain = ({ parameters, optimizer, ...rest }: Checkpoint) => ({
      ...rest,
      updates: optimizer.updates,
      vectors: [parametersHash(parameters), ...[...optimizer.slots].map(([name, values]) => `${name} ${parametersHash(values)}`)],
    });
    expect(plain(loaded)).toEqual(plain(saved));
    expect(receipt).toMatchObject({ path, parametersSha256: parametersHash(vector(1)) });
    expect(receipt.bytes).toBe((await readFile(path)).length);
    await saveCheckpoint(path, checkpoint({ cleanAccuracy: null }));
    expect((await loadCheckpoint(path)).cleanAccuracy).toBeNull();
  });

  it('file: is a safetensors file with parameters by name', () => {
    const { tensors, metadata } = decodeSafetensors(encodeCheckpoint(checkpoint()));
    expect([...tensors.keys()].slice(0, 3)).toEqual(['conv1.weight', 'conv1.bias', 'conv2.weight']);
    expect(tensors.get('conv1.bias')?.data).toEqual(vector(1).subarray(432, 448));
    expect(tensors.get('optimizer.secondMoment.fc2.bias')?.shape).toEqual([10]);
    expect(metadata).toMatchObject({ step: '400', optimizer: 'adam', runId: 'run-1' });
  });

  it('file: has equal bytes for equal state', () => {
    expect(Buffer.from(encodeCheckpoint(checkpoint())).equals(encodeCheckpoint(checkpoint()))).toBe(true);
  });

  it('parameters hash: is SHA-256 of the little-endian values', () => {
    // printf '\x00\x00\x80\x3f\x00\x00\x00\xc0' | sha256sum
    expect(parametersHash(Float32Array.of(1, -2))).toBe('ee4ac73c2bd27756ab82780f27c73a7bc4d3f0bb6acb37e008bc27eccd7e588b');
  });

  it('load: says CHECKPOINT_MISSING, CHECKPOINT_TRUNCATED, CHECKPOINT_CORRUPT', async () => {
    await expect(loadCheckpoint(path)).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' });
    const { bytes } = await saveCheckpoint(path, checkpoint());
    const whole = await readFile(path);
    for (const length of [0, 5, 900, bytes - 1]) {
      await writeFile(path, whole.subarray(0, length));
      await expect(loadCheckpoint(path), `${length} bytes`).rejects.toMatchObject({ code: 'CHECKPOINT_TRUNCATED' });
    }
    const header = whole.indexOf('"step":"400"');
    for (const [position, byte] of [
      [bytes - 1, 0xff],
      [bytes / 2, 0xff],
      [header + 8, '5'.charCodeAt(0)],
    ] as const) {
      const changed = Buffer.from(whole);
      changed[Math.floor(position)] = byte;
      await writeFile(path, changed);
      await expect(loadCheckpoint(path), `byte ${position}`).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    }
    await writeFile(path, encodeSafetensors([], {}));
    await expect(loadCheckpoint(path)).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      message: expect.stringContaining('format') as unknown,
    });
  });

  it('load: says CHECKPOINT_OTHER_MODEL when the config names another model', async () => {
    await saveCheckpoint(path, checkpoint());
    const other = configSchema.parse({ model: { name: 'vgg6' } });
    await expect(loadCheckpoint(path, { config: other })).rejects.toMatchObject({
      code: 'CHECKPOINT_OTHER_MODEL',
      message: expect.stringContaining('"vgg6"') as unknown,
    });
  });

  it('load: says CHECKPOINT_OTHER_CONFIG and names the keys that differ', async () => {
    await saveCheckpoint(path, checkpoint());
    const other = configSchema.parse({ ...config, train: { epochs: 3, maxSteps: 9 }, optimizer: { name: 'adam', learningRate: 0.5 } });
    const error = await loadCheckpoint(path, { config: other }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'CHECKPOINT_OTHER_CONFIG',
      parts: {
        fields: { keys: ['optimizer.learningRate', 'train.epochs', 'train.maxSteps'] },
        got: 'optimizer.learningRate: 0.001 in the checkpoint, 0.5 now; train.epochs: 10 in the checkpoint, 3 now; train.maxSteps: nothing in the checkpoint, 9 now',
      },
    });
    const mayDiffer = ['train', 'optimizer.learningRate'];
    expect((await loadCheckpoint(path, { config: other, mayDiffer })).step).toBe(400);
    await expect(loadCheckpoint(path, { datasetHash: 'e' })).rejects.toMatchObject({ code: 'CHECKPOINT_OTHER_CONFIG' });
  });

  it('load: lets keys differ that no result depends on', async () => {
    await saveCheckpoint(path, checkpoint());
    const other = configSchema.parse({
      ...config,
      name: 'again',
      runsFolder: '/elsewhere',
      data: { ...config.data, path: '/data', label: 'copy' },
      checkpoint: { keep: 1 },
      evaluation: { robustSamples: 5, attacks: ['pgd'] },
      cluster: { port: 4000 },
    });
    expect((await loadCheckpoint(path, { config: other })).step).toBe(400);
    const seed = configSchema.parse({ ...config, seed: 2 });
    await expect(loadCheckpoint(path, { config: seed })).rejects.toMatchObject({ parts: { fields: { keys: ['seed'] } } });
  });
});

describe('checkpoint folder', () => {
  const at = (step: number, cleanAccuracy: number | null) => checkpoint({ step, cleanAccuracy });
  const names = async () => (await readdir(join(folder, 'checkpoints'))).sort();
  const open = (keep: number) => CheckpointFolder.open(join(folder, 'checkpoints'), keep);

  it('retention: keeps the newest and the best', async () => {
    const checkpoints = await open(2);
    const accuracies = [0.3, 0.7, null, 0.5, 0.7, null];
    const kept: number[][] = [];
    for (const [i, accuracy] of accuracies.entries()) {
      await checkpoints.write(at((i + 1) * 10, accuracy));
      kept.push(await checkpoints.steps());
    }
    expect(kept).toEqual([[10], [10, 20], [20, 30], [20, 30, 40], [20, 40, 50], [20, 50, 60]]);
    expect(checkpoints.bestStep).toBe(20);
  });

  it('retention: knows the best of an earlier process', async () => {
    const first = await open(1);
    for (const [step, accuracy] of [
      [10, 0.8],
      [20, 0.6],
    ] as const)
      await first.write(at(step, accuracy));
    const second = await open(1);
    expect(second.bestStep).toBe(10);
    await second.write(at(30, 0.7));
    expect(await second.steps()).toEqual([10, 30]);
    await second.write(at(40, 0.81));
    expect(await second.steps()).toEqual([40]);
  });

  it('write: keeps the accuracy when the best step is written again without one', async () => {
    const checkpoints = await open(1);
    await checkpoints.write(at(10, 0.8));
    await checkpoints.write(at(10, null));
    expect((await loadCheckpoint(join(folder, 'checkpoints', 'step-00000010.safetensors'))).cleanAccuracy).toBe(0.8);
  });

  it('open: clears away parts of writes and sets damaged files aside', async () => {
    const checkpoints = await open(3);
    for (const step of [10, 20]) await checkpoints.write(at(step, null));
    await truncate(join(folder, 'checkpoints', 'step-00000020.safetensors'), 1000);
    await writeFile(join(folder, 'checkpoints', 'step-00000030.safetensors.tmp-99-abc'), 'part');
    await writeFile(join(folder, 'checkpoints', 'notes.txt'), 'mine');
    expect(await (await open(3)).steps()).toEqual([10]);
    expect(await names()).toEqual(['notes.txt', 'step-00000010.safetensors', 'step-00000020.safetensors.damaged']);
  });

  it('newest: passes over damaged files and reports them', async () => {
    const checkpoints = await open(3);
    for (const step of [10, 20, 100_000_000]) await checkpoints.write(at(step, null));
    await truncate(join(folder, 'checkpoints', 'step-100000000.safetensors'), 1000);
    const { checkpoint: loaded, skipped } = await loadNewestCheckpoint(checkpoints.path, { config });
    expect(loaded.step).toBe(20);
    expect(skipped.map(({ error }) => error.code)).toEqual(['CHECKPOINT_TRUNCATED']);
  });

  it('newest: fails when there is none, none is whole, or the run is another', async () => {
    const checkpoints = await open(3);
    await expect(loadNewestCheckpoint(checkpoints.path)).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' });
    await checkpoints.write(at(10, null));
    const other = configSchema.parse({ ...config, seed: 9 });
    await expect(loadNewestCheckpoint(checkpoints.path, { config: other })).rejects.toMatchObject({ code: 'CHECKPOINT_OTHER_CONFIG' });
    await truncate(join(folder, 'checkpoints', 'step-00000010.safetensors'), 10);
    await expect(loadNewestCheckpoint(checkpoints.path)).rejects.toMatchObject({ code: 'CHECKPOINT_TRUNCATED' });
  });
});
