import { describe, expect, it } from 'vitest';
import { checkDataset, checkSame, definitionHash, startedEvent } from '../../../src/coordinator/sweep-definition.ts';
import { functionSweep } from '../../support/sweeps.ts';

const dataset = { name: 'cifar10', contentHash: 'a' };
const at = (path: string, more: object = {}) => ({ ...functionSweep(more), base: { data: { source: 'cifar10', path } } });

describe('definition of a sweep', () => {
  it('is the same wherever the data lie, and however many workers it may have', () => {
    const [here, there] = [at('/here'), at('/there', { maxParallel: 3 })];
    expect(definitionHash(here as never)).toBe(definitionHash(there as never));
    const started = startedEvent({ source: here as never, sweepId: 's', folder: 'f', dataset });
    expect(() => checkSame(there as never, started, 'f')).not.toThrow();
  });

  it('knows its data by their content', () => {
    const started = startedEvent({ source: at('/here') as never, sweepId: 's', folder: 'f', dataset });
    expect(() => checkDataset({ ...dataset }, started, 'f')).not.toThrow();
    expect(() => checkDataset({ ...dataset, contentHash: 'b' }, started, 'f')).toThrow('begun with other data');
  });

  it('is another one with another sampler or training config', () => {
    const started = startedEvent({ source: at('/here') as never, sweepId: 's', folder: 'f', dataset });
    const sampler = at('/here', { sampler: { name: 'tpe' } });
    const model = { ...at('/here'), base: { data: { source: 'cifar10', path: '/here' }, model: { name: 'vgg6' } } };
    for (const other of [sampler, model]) {
      expect(definitionHash(other as never)).not.toBe(definitionHash(at('/here') as never));
      expect(() => checkSame(other as never, started, 'f')).toThrow(expect.objectContaining({ code: 'SWEEP_OTHER' }));
    }
  });
});
