import { describe, expect, it } from 'vitest';
import { configDocs, configFields, configJsonSchema, editDistance, nearestName } from '../../../src/config/index.ts';

describe('configFields', () => {
  it('fields: have a meaning and a range each', () => {
    for (const field of configFields()) {
      expect(field.meaning, field.path).toMatch(/\w/);
      expect(field.accepts, field.path).toMatch(/\w/);
    }
  });

  it('fields: show defaults as JSON and none for optional keys', () => {
    const byPath = new Map(configFields().map((field) => [field.path, field]));
    expect(byPath.get('schedule.milestones')?.default).toBe('[0.5,0.75]');
    expect(byPath.get('train.maxSteps')?.default).toBeUndefined();
    expect(byPath.get('strategy.adversarial.steps')?.accepts).toBe('integer >= 1');
  });
});

describe('configDocs', () => {
  it('docs: name every key, section by section', () => {
    const text = configDocs();
    for (const { path } of configFields()) expect(text).toContain(`| \`${path.slice(path.lastIndexOf('.') + 1)}\` |`);
    expect(text).toContain('## `strategy.gfa`');
    expect(text).toContain('`input`, `conv1`, `conv2`, `conv3`, `fc1`');
  });

  it('docs: escape bars inside table cells', () => {
    const row = configDocs()
      .split('\n')
      .find((line) => line.startsWith('| `alignment`'));
    expect(row?.match(/(?<!\\)\|/g)).toHaveLength(5);
  });
});

describe('configJsonSchema', () => {
  it('schema: requires nothing and refuses unknown keys', () => {
    const schema = configJsonSchema() as {
      required?: string[];
      additionalProperties: boolean;
      properties: Record<string, { additionalProperties: boolean }>;
    };
    expect(schema.required ?? []).toEqual([]);
    expect(schema.additionalProperties).toBe(false);
    expect(schema.properties.train?.additionalProperties).toBe(false);
  });
});

describe('editDistance', () => {
  it.each([
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
    ['abc', 'abc', 0],
    ['shrads', 'shards', 1],
    ['batchsize', 'batchSize', 0],
    ['ca', 'abc', 3],
  ])('distance: of %s and %s is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });

  it('nearest: is undefined when everything is far', () => {
    expect(nearestName('zzzzzz', ['epochs', 'shards'])).toBeUndefined();
    expect(nearestName('epoch', ['shards', 'epochs'])).toBe('epochs');
  });
});
