import { describe, expect, it } from 'vitest';
import { type ConfigProblem, defaultNetwork, IN_TRAINING_ATTACKS, normOf, resolveConfig, resolveGfa } from '../../../src/config/index.ts';
import { DeepDefenseError } from '../../../src/core/index.ts';

function failure(input: unknown): DeepDefenseError {
  try {
    resolveConfig(input, 'run.yaml');
  } catch (error) {
    if (error instanceof DeepDefenseError) return error;
    throw error;
  }
  throw new Error('the config was accepted');
}

const problemsOf = (error: DeepDefenseError): readonly ConfigProblem[] => error.parts.fields?.problems as readonly ConfigProblem[];

describe('resolveConfig', () => {
  it('config: has every default when nothing is given', () => {
    const config = resolveConfig();
    expect(config.model.name).toBe('vgg6');
    expect(config.train).toMatchObject({ epochs: 10, batchSize: 128, shards: 8 });
    expect(config.strategy.gfa.warmup).toBe(0.3);
    expect(config.strategy.adversarial.epsLinf).toBeCloseTo(0.031372549, 9);
    expect(config.train.maxSteps).toBeUndefined();
  });

  it('config: keeps values and fills siblings when a section is partly given', () => {
    const config = resolveConfig({ optimizer: { name: 'sgd', momentum: 0.7 } });
    expect(config.optimizer).toMatchObject({ name: 'sgd', momentum: 0.7, learningRate: 0.001 });
  });

  it('config: is frozen to its leaves', () => {
    const config = resolveConfig({ strategy: { gfa: { layers: ['input'], weights: [1] } } });
    expect(() => {
      (config.train as { batchSize: number }).batchSize = 3;
    }).toThrow(TypeError);
    expect(() => config.strategy.gfa.layers?.push('conv1')).toThrow(TypeError);
    expect(() => config.schedule.milestones.push(1)).toThrow(TypeError);
  });

  it.each([
    [{ train: { batchsize: 64 } }, 'train.batchsize', 'did you mean "train.batchSize"?'],
    [{ trian: { batchSize: 64 } }, 'trian', 'did you mean "train"?'],
    [{ strategy: { gfa: { lyaers: ['input'] } } }, 'strategy.gfa.lyaers', 'did you mean "strategy.gfa.layers"?'],
    [{ learningRate: 0.1 }, 'learningRate', 'did you mean "optimizer.learningRate"?'],
    [{ optimizer: { lr: 0.1 } }, 'optimizer.lr', undefined],
  ])('unknown key: is named with its path and nearest key in %j', (input, path, todo) => {
    const error = failure(input);
    expect(error.code).toBe('CONFIG_UNKNOWN_KEY');
    expect(error.exitCode).toBe(3);
    expect(error.message).toContain(`unknown key "${path}"`);
    expect(error.parts.todo).toBe(todo);
  });

  it('unknown key: lists the keys of its section', () => {
    expect(failure({ checkpoint: { every: 5 } }).parts.expected).toBe('one of everySteps, everySeconds, keep');
  });

  it.each([
    [{ data: { padCrop: 99 } }, 'data.padCrop', 'integer >= 0 and <= 16', '99'],
    [{ optimizer: { momentum: 1 } }, 'optimizer.momentum', 'number >= 0 and < 1', '1'],
    [{ optimizer: { learningRate: 0 } }, 'optimizer.learningRate', 'number > 0', '0'],
    [{ train: { batchSize: 1.5 } }, 'train.batchSize', 'integer >= 1', '1.5'],
    [{ train: { batchSize: 'many' } }, 'train.batchSize', 'integer >= 1', '"many"'],
    [{ train: { maxSteps: 0 } }, 'train.maxSteps', 'integer >= 1', '0'],
    [{ model: { name: 'vgg' } }, 'model.name', 'one of cnn3, vgg6, resnet18, wrn-16-4', '"vgg"'],
    [{ data: { flip: 'yes' } }, 'data.flip', 'true or false', '"yes"'],
    [{ strategy: { gfa: { weights: [0.5, -1], layers: ['input', 'conv1'] } } }, 'strategy.gfa.weights.1', 'number >= 0', '-1'],
    [{ strategy: { gfa: { layers: [] } } }, 'strategy.gfa.layers', 'list of text, at least 1', '[]'],
    [{ evaluation: { attacks: ['fgsm', 'pdg'] } }, 'evaluation.attacks.1', `one of ${IN_TRAINING_ATTACKS.join(', ')}`, '"pdg"'],
    [{ cluster: { port: 70000 } }, 'cluster.port', 'integer >= 0 and <= 65535', '70000'],
    [{ name: 'My Run' }, 'name', 'text of 1 to 64 characters that matches ^[a-z0-9][a-z0-9-]*$', '"My Run"'],
    [{ train: 7 }, 'train', 'a section with the keys epochs, maxSteps, batchSize, shards, gradients', '7'],
  ])('bad value: is reported with path, range and value in %j', (input, path, expected, got) => {
    const error = failure(input);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.parts.fields?.path).toBe(path);
    expect(error.parts.expected).toBe(expected);
    expect(error.parts.got).toBe(got);
  });

  it('config: is refused when it is not a mapping', () => {
    expect(failure([1, 2]).code).toBe('CONFIG_INVALID');
    expect(failure('text').message).toContain('not a mapping');
  });

  it('layer: is refused with the list when the model lacks it', () => {
    const error = failure({ model: { name: 'cnn3' }, strategy: { name: 'deep', gfa: { layers: ['conv1', 'conv2', 'conv4'] } } });
    expect(error.code).toBe('CONFIG_UNKNOWN_LAYER');
    expect(error.parts.expected).toBe('one of input, conv1, conv2, conv3, fc1');
    expect(error.parts.got).toBe('"conv4"');
    // The output layer has no feature: its output is the logits.
    expect(failure({ strategy: { gfa: { layers: ['fc2'], weights: [1] } } }).code).toBe('CONFIG_UNKNOWN_LAYER');
  });

  it('denoise: follows convolutions that the model has, each once', () => {
    const after = (layers: string[]) => failure({ model: { name: 'cnn3', denoise: { filter: 'mean', after: layers } } });
    const unknown = after(['conv1', 'fc1']);
    expect(unknown.code).toBe('CONFIG_UNKNOWN_LAYER');
    expect(unknown.parts.what).toContain('model.denoise.after');
    expect(unknown.parts.expected).toBe('one of conv1, conv2, conv3');
    expect(after(['conv2', 'conv2']).parts.what).toContain('named twice');
  });

  it('norm: residual networks need one, and have group by default', () => {
    const refused = failure({ model: { name: 'resnet18', norm: 'none' } });
    expect(refused.code).toBe('CONFIG_INVALID');
    expect(refused.parts.what).toContain('model.norm');
    expect(normOf(defaultNetwork('wrn-16-4'))).toBe('group');
    expect(normOf(defaultNetwork('cnn3'))).toBe('none');
  });

  it('layers: of residual networks are stem and stages, for GFA and for denoising', () => {
    const config = resolveConfig({
      model: { name: 'resnet18', denoise: { filter: 'mean', after: ['stem', 'stage4'] } },
      strategy: { name: 'deep' },
    });
    expect(resolveGfa(config).layers).toEqual(['stem', 'stage1', 'stage2']);
    expect(
      failure({ model: { name: 'wrn-16-4' }, strategy: { name: 'deep', gfa: { layers: ['conv1'], weights: [1] } } }).parts.expected,
    ).toBe('one of input, stem, stage1, stage2, stage3');
  });

  it('layer: is refused when it is named twice', () => {
    expect(failure({ strategy: { gfa: { layers: ['conv1', 'conv1'], weights: [1, 2] } } }).message).toContain('named twice');
  });

  it.each([
    [{ name: 'deep', gfa: { layers: ['conv1', 'conv2'], weights: [0.5, 0.3, 0.2] } }, '2 layers, 3 weights'],
    [{ name: 'deep', gfa: { layers: ['conv1', 'conv2'] } }, '2 layers, 3 weights'],
    [{ name: 'first', gfa: { weights: [0.5, 0.3] } }, '1 layers, 2 weights'],
    [{ name: 'benchmark', gfa: { layers: ['conv1'], weights: [0.5, 0.3] } }, '1 layers, 2 weights'],
  ])('GFA: is refused when layers and weights differ in length in %j', (strategy, got) => {
    const error = failure({ strategy });
    expect(error.code).toBe('CONFIG_LENGTH_MISMATCH');
    expect(error.parts.got).toBe(got);
  });

  it('GFA: is accepted when layers and weights agree', () => {
    expect(resolveConfig({ strategy: { name: 'deep', gfa: { weights: [3, 2, 1] } } }).strategy.gfa.weights).toEqual([3, 2, 1]);
    expect(resolveConfig({ strategy: { name: 'first', gfa: { layers: ['conv6'] } } }).strategy.gfa.layers).toEqual(['conv6']);
  });

  it('batch: is refused when shards do not divide it', () => {
    const error = failure({ train: { batchSize: 100, shards: 8 } });
    expect(error.code).toBe('CONFIG_BATCH_NOT_DIVISIBLE');
    expect(error.parts.got).toBe('batchSize 100, shards 8');
    expect(error.parts.todo).toBe('for example train.batchSize 96 or 104');
    expect(failure({ train: { batchSize: 4, shards: 6 } }).parts.todo).toBe('for example train.batchSize 6');
  });

  it.each([
    [{ heartbeatMs: 1500, leaseMs: 3000 }, 'cluster.heartbeatMs'],
    [{ leaseMs: 120000 }, 'cluster.leaseMs'],
  ])('timeouts: are refused out of order in %j', (cluster, path) => {
    const error = failure({ cluster });
    expect(error.code).toBe('CONFIG_TIMEOUT_ORDER');
    expect(error.parts.fields?.path).toBe(path);
  });

  it('timeouts: are accepted just inside the order', () => {
    expect(resolveConfig({ cluster: { heartbeatMs: 1499, leaseMs: 3000, stepDeadlineMs: 3001 } }).cluster.heartbeatMs).toBe(1499);
  });

  it('maxWorkers: is refused below minWorkers', () => {
    const error = failure({ cluster: { minWorkers: 3, maxWorkers: 2 } });
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.parts.got).toBe('maxWorkers 2, minWorkers 3');
    expect(resolveConfig({ cluster: { minWorkers: 3, maxWorkers: 3 } }).cluster.maxWorkers).toBe(3);
    expect(resolveConfig({}).cluster.maxWorkers).toBeUndefined();
  });

  it('problems: are reported together, misspelt keys first', () => {
    const error = failure({
      data: { padCrop: 99, flop: true },
      train: { batchSize: 100 },
      strategy: { name: 'deep', gfa: { layers: ['conv9', 'conv1', 'input'] } },
    });
    expect(problemsOf(error).map(({ code, path }) => [code, path])).toEqual([
      ['CONFIG_UNKNOWN_KEY', 'data.flop'],
      ['CONFIG_INVALID', 'data.padCrop'],
      ['CONFIG_UNKNOWN_LAYER', 'strategy.gfa.layers.0'],
      ['CONFIG_BATCH_NOT_DIVISIBLE', 'train.batchSize'],
    ]);
    expect(error.code).toBe('CONFIG_UNKNOWN_KEY');
    expect(error.message).toContain('4 problems');
    for (const { what } of problemsOf(error)) expect(error.message).toContain(what);
  });

  it('problems: leave out rules on a section that is itself wrong', () => {
    // 100 is not divisible by the default 8 shards, but the misspelt key may have been meant to say so.
    const error = failure({ train: { batchSize: 100, shrads: 10 } });
    expect(problemsOf(error)).toHaveLength(1);
    expect(error.parts.todo).toBe('did you mean "train.shards"?');
  });
});
