import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAttackSpec, resolveConfig } from '../../../src/config/index.ts';
import { claimFolder, type EvaluationQuestion } from '../../../src/coordinator/evaluation-question.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'question-'));
});
afterAll(() => rm(folder, { recursive: true }));

const network = { config: resolveConfig({ model: { name: 'cnn3' } }), parameters: Float32Array.of(1, 2, 3) };
const question: EvaluationQuestion = {
  networks: [network, network],
  attacks: [parseAttackSpec('fgsm'), parseAttackSpec('pgd:steps=20')],
  radii: { linf: [1 / 255, 8 / 255] },
  images: [3, 1, 4],
  datasetHash: 'd',
  seed: 1,
  batchSize: 10,
  transfer: false,
  onlyCorrectByAll: false,
  diagnosed: 0,
};

describe('claimFolder', () => {
  it('takes a new folder, and the same question again', async () => {
    await claimFolder(folder, question);
    await claimFolder(folder, { ...question, attacks: [parseAttackSpec('fgsm'), parseAttackSpec('pgd:steps=20:norm=linf')] });
  });

  it.each([
    ['networks.2.weightsSha256', { networks: [network, { ...network, parameters: Float32Array.of(1, 2, 4) }] }],
    ['networks.2.model.name', { networks: [network] }],
    ['attacks', { attacks: [parseAttackSpec('fgsm')] }],
    ['eps.linf', { radii: { linf: [1 / 255] } }],
    ['images.count', { images: [3, 1, 4, 1] }],
    ['seed', { seed: 2 }],
    ['batchSize', { batchSize: 20 }],
    ['transfer', { transfer: true }],
    ['onlyCorrectByAll', { onlyCorrectByAll: true }],
    ['datasetHash', { datasetHash: 'e' }],
  ])('refuses another one and names %s', async (key, change) => {
    await expect(claimFolder(folder, { ...question, ...change })).rejects.toMatchObject({
      code: 'CHECKPOINT_OTHER_CONFIG',
      message: expect.stringContaining(`${key} = `) as unknown,
    });
  });

  it('says when the file is damaged', async () => {
    const damaged = await mkdtemp(join(folder, 'damaged-'));
    await writeFile(join(damaged, 'question.json'), '{');
    await expect(claimFolder(damaged, question)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });
});
