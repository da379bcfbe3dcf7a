import { describe, expect, it } from 'vitest';
import { defaultNetwork, parameterSpecs } from '../../../src/config/index.ts';
import { sha256, type TensorSpec } from '../../../src/core/index.ts';
import { schemaHash } from '../../../src/wire/index.ts';

const specs: TensorSpec[] = [
  { name: 'w', shape: [2, 3], dtype: 'float32' },
  { name: 'b', shape: [2], dtype: 'float32' },
];

describe('schema hash', () => {
  it('hash: is SHA-256 of the canonical text', () => {
    expect(schemaHash(specs)).toBe(sha256('[["w",[2,3],"float32"],["b",[2],"float32"]]'));
  });

  it('hash: changes with name, shape, dtype and order', () => {
    const [w, b] = specs as [TensorSpec, TensorSpec];
    const others = [[b, w], [w], [{ ...w, name: 'v' }, b], [{ ...w, shape: [3, 2] }, b], [{ ...w, dtype: 'int32' as const }, b]];
    expect(new Set([specs, ...others].map(schemaHash)).size).toBe(6);
    expect(schemaHash(parameterSpecs(defaultNetwork('cnn3')))).not.toBe(schemaHash(parameterSpecs(defaultNetwork('vgg6'))));
  });
});
