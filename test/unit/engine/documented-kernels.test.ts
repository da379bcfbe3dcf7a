import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { capturedKernels } from '../../../src/engine/kernels/index.ts';

test('docs/architecture.md: lists every kernel that can be captured', () => {
  const text = readFileSync(new URL('../../../docs/architecture.md', import.meta.url), 'utf8');
  const listed = /Kernels of TensorFlow\.js that can be captured[^\n]*\n([^\n]*)\n/.exec(text)?.[1] ?? '';
  expect(new Set(listed.match(/\w+/g))).toEqual(new Set(capturedKernels));
});
