import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EvaluationFile, type EvaluationLine } from '../../../src/coordinator/evaluation-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evaluation-file-'));
});
afterAll(() => rm(folder, { recursive: true }));

const unit = (key: string): EvaluationLine => ({
  kind: 'attack',
  key,
  correct: '0101',
  targetCorrect: ['0001'],
  distances: [[0.1, 1 / 3, 2.5, 1e-9, 7], null, null, null],
  queries: { forward: 3, gradient: 40 },
  computeMs: 12.25,
});
const LINES: EvaluationLine[] = [{ kind: 'engine', fingerprint: 'onnx:cpu é' }, unit('a'), unit('b')];

async function written(name: string): Promise<{ path: string; bytes: Buffer }> {
  const path = join(folder, name);
  const { file } = await EvaluationFile.open(path);
  for (const line of LINES) await file.append(line);
  await file.close();
  return { path, bytes: await readFile(path) };
}

describe('evaluation file', () => {
  it('gives back what was appended', async () => {
    const { path } = await written('whole');
    const { file, lines, cutBytes } = await EvaluationFile.open(path);
    await file.close();
    expect(lines).toEqual(LINES);
    expect(cutBytes).toBe(0);
  });

  it('cuts a torn last line off, wherever it was torn, and goes on behind the good ones', async () => {
    const { path, bytes } = await written('torn');
    const lastStart = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
    for (const length of [lastStart + 1, lastStart + 9, lastStart + 40, bytes.length - 2, bytes.length - 1]) {
      await writeFile(path, bytes.subarray(0, length));
      const { file, lines, cutBytes } = await EvaluationFile.open(path);
      expect(lines).toEqual(LINES.slice(0, 2));
      expect(cutBytes).toBe(length - lastStart);
      await file.append(unit('c'));
      await file.close();
      const again = await EvaluationFile.open(path);
      await again.file.close();
      expect(again.lines).toEqual([...LINES.slice(0, 2), unit('c')]);
    }
  });

  it('takes no line whose content has changed', async () => {
    const { path, bytes } = await written('changed');
    const text = bytes.toString().replace('"correct":"0101"', '"correct":"1111"');
    await writeFile(path, text);
    const { file, lines } = await EvaluationFile.open(path);
    await file.close();
    expect(lines).toEqual(LINES.slice(0, 1));
  });

  it('says STORAGE_FAILED for every append after a failed one', async () => {
    const { file } = await EvaluationFile.open(join(folder, 'closed'));
    await file.close();
    await expect(file.append(unit('a'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await expect(file.append(unit('b'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await expect(file.flush()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });
});
