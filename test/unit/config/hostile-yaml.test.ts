/** @file Config and sweep files that were made to harm: aliases that explode, nesting, size, keys of prototypes. */
import { mkdtemp, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig, loadSweep } from '../../../src/config/index.ts';

const BOMB = [
  'a: &a [x, x, x, x, x, x, x, x, x]',
  ...'bcdefghi'.split('').map((key, i) => `${key}: &${key} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(', ')}]`),
].join('\n');
const BAD = {
  'aliases that explode': BOMB,
  'deep nesting': `a: ${'['.repeat(200_000)}`,
  'deep nesting of maps': `a: ${'{b: '.repeat(100_000)}`,
  'deep nesting by lines': Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
};

async function fileWith(text: string): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'yaml-')), 'x.yaml');
  await writeFile(file, text);
  return file;
}

describe('a config or sweep file', () => {
  it.each(Object.entries(BAD))('with %s is refused in little time', async (_, text) => {
    const file = await fileWith(text);
    const startedMs = performance.now();
    await expect(loadConfig({ file })).rejects.toMatchObject({ code: expect.stringMatching(/^CONFIG_/) as string });
    await expect(loadSweep({ file })).rejects.toMatchObject({ code: expect.stringMatching(/^CONFIG_/) as string });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  it('of a gigabyte is refused without being read', async () => {
    const file = await fileWith('a: 1');
    await truncate(file, 2 ** 30);
    await expect(loadConfig({ file })).rejects.toMatchObject({ code: 'CONFIG_SYNTAX' });
    await expect(loadSweep({ file })).rejects.toMatchObject({ code: 'CONFIG_SYNTAX' });
  });

  it('with keys of prototypes is refused and changes nothing', async () => {
    for (const key of ['__proto__', 'constructor']) {
      const file = await fileWith(`${key}: {polluted: 1}\ntrain: {${key}: {polluted: 1}}`);
      await expect(loadConfig({ file })).rejects.toMatchObject({ code: 'CONFIG_UNKNOWN_KEY' });
      await expect(loadConfig({ assignments: [`train.${key}.polluted=1`] })).rejects.toMatchObject({ code: 'CONFIG_UNKNOWN_KEY' });
    }
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it('is refused for an assignment that explodes', async () => {
    for (const value of ['['.repeat(100_000), '*nothing']) {
      await expect(loadConfig({ assignments: [`train.maxSteps=${value}`] })).rejects.toMatchObject({ code: 'CONFIG_SYNTAX' });
    }
  });
});
