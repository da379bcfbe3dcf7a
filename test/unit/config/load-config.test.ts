import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, loadSweep, PRESETS, resolveConfig } from '../../../src/config/index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'config-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(text: string): Promise<string> {
  const path = join(folder, `${Math.random().toString(36).slice(2)}.yaml`);
  await writeFile(path, text);
  return path;
}

describe('loadConfig', () => {
  it('file: is read and completed with defaults', async () => {
    const config = await loadConfig({ file: await file('model: {name: cnn3}\ntrain:\n  epochs: 2.5\n') });
    expect(config.model.name).toBe('cnn3');
    expect(config.train).toMatchObject({ epochs: 2.5, batchSize: 128 });
  });

  it('file: may be empty', async () => {
    expect(await loadConfig({ file: await file('# nothing\n') })).toEqual(resolveConfig());
  });

  it('sources: override each other in the order preset, file, options, assignments', async () => {
    const path = await file('seed: 2\nmodel: {name: vgg6}\ntrain: {epochs: 3, shards: 4}\n');
    const config = await loadConfig({
      preset: 'smoke',
      file: path,
      options: { train: { epochs: 4 } },
      assignments: ['train.epochs=5', 'train.epochs=6'],
    });
    expect(config.name).toBe('smoke');
    expect(config.seed).toBe(2);
    expect(config.model.name).toBe('vgg6');
    expect(config.train).toMatchObject({ epochs: 6, shards: 4, batchSize: 64 });
    expect(config.data.source).toBe('synthetic');
  });

  it('assignment: takes YAML scalars and flow collections', async () => {
    const config = await loadConfig({
      assignments: [
        'strategy.gfa.layers=[input, conv2]',
        'strategy.gfa.weights=[0.25,0.5]',
        'data.flip=false',
        'optimizer.epsilon=1e-7',
        'data.label=a=b',
        'name=x1',
      ],
    });
    expect(config.strategy.gfa).toMatchObject({ layers: ['input', 'conv2'], weights: [0.25, 0.5] });
    expect(config.data).toMatchObject({ flip: false, label: 'a=b' });
    expect(config.optimizer.epsilon).toBe(1e-7);
    expect(config.name).toBe('x1');
  });

  it('assignment: sets a whole section from a flow mapping', async () => {
    expect((await loadConfig({ assignments: ['train={epochs: 1, batchSize: 32}'] })).train).toMatchObject({
      epochs: 1,
      batchSize: 32,
      shards: 8,
    });
  });

  it('assignment: unsets a key when the value is null or missing', async () => {
    const path = await file('train: {maxSteps: 7}\ndata: {path: /somewhere}\n');
    const config = await loadConfig({ file: path, assignments: ['train.maxSteps=null', 'data.path='] });
    expect(config.train.maxSteps).toBeUndefined();
    expect(config.data.path).toBeUndefined();
  });

  it.each(['train.epochs', '=3', 'train..epochs=3', '.epochs=3', ''])('assignment: is a usage error when it reads "%s"', async (text) => {
    await expect(loadConfig({ assignments: [text] })).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('assignment: is a syntax error when its value is not YAML', async () => {
    await expect(loadConfig({ assignments: ['strategy.gfa.layers=[input'] })).rejects.toMatchObject({ code: 'CONFIG_SYNTAX' });
  });

  it.each(['__proto__.polluted=1', 'constructor.prototype.polluted=1', 'train.__proto__.polluted=1'])(
    'assignment: "%s" pollutes nothing',
    async (text) => {
      await expect(loadConfig({ assignments: [text] })).rejects.toMatchObject({ code: 'CONFIG_UNKNOWN_KEY' });
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    },
  );

  it('file: is an error when missing', async () => {
    await expect(loadConfig({ file: join(folder, 'none.yaml') })).rejects.toMatchObject({ code: 'CONFIG_FILE_MISSING', exitCode: 3 });
  });

  it.each([
    ['train:\n  epochs: 1\n  epochs: 2\n', 3, 3],
    ['name: a\ntrain: [1, 2\n', 3, 1],
    ['name: "a\n', 2, 1],
    ['name: *nobody\n', 1, 1],
  ])('file: has line and column of a syntax error in %j', async (text, line, column) => {
    const path = await file(text);
    const error = await loadConfig({ file: path }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'CONFIG_SYNTAX', parts: { fields: { line, column } } });
    expect((error as Error).message).toContain(`${path}:${line}:${column}`);
  });

  it('preset: is a usage error with a suggestion when unknown', async () => {
    await expect(loadConfig({ preset: 'smok' })).rejects.toMatchObject({ code: 'USAGE', parts: { todo: 'did you mean "smoke"?' } });
    await expect(loadConfig({ preset: 'toString' })).rejects.toMatchObject({ code: 'USAGE' });
  });

  it.each(Object.keys(PRESETS))('preset: %s resolves', async (preset) => {
    expect((await loadConfig({ preset })).name).toBe(preset);
  });

  it('examples: every file resolves', async () => {
    const examples = new URL('../../../examples/', import.meta.url);
    const files = (await readdir(examples)).filter((name) => name.endsWith('.yaml'));
    expect(files).toContain('cifar10-deep.yaml');
    for (const name of files.filter((each) => each.startsWith('sweep-')))
      expect((await loadSweep({ file: new URL(name, examples).pathname })).sweep.name).toBe(name.slice('sweep-'.length, -'.yaml'.length));
    for (const name of files.filter((each) => !each.startsWith('sweep-')))
      expect((await loadConfig({ file: new URL(name, examples).pathname })).name).toBe(name.slice(0, -'.yaml'.length));
  });
});
