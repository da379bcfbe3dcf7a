import { describe, expect, it } from 'vitest';
import { exitCodeDocs } from '../../../src/cli/exit-code-docs.ts';
import { reportError } from '../../../src/cli/report-error.ts';
import { createRunId } from '../../../src/cli/run-id.ts';
import { DeepDefenseError, ERROR_CODES, EXIT_CODES } from '../../../src/core/index.ts';

function report(error: unknown, json: boolean): { code: number; stdout: string; stderr: string } {
  let stdout = '';
  let stderr = '';
  const code = reportError(error, { json, stdout: (text) => void (stdout += text), stderr: (text) => void (stderr += text) });
  return { code, stdout, stderr };
}

describe('reportError', () => {
  const truncated = new DeepDefenseError('CHECKPOINT_TRUNCATED', {
    what: 'a.safetensors ends early',
    expected: '10 bytes',
    got: '7 bytes',
    fields: { path: 'a' },
  });

  it('known error: is a message without a stack', () => {
    const { code, stdout, stderr } = report(truncated, false);
    expect(code).toBe(5);
    expect(stdout).toBe('');
    expect(stderr).toBe('error CHECKPOINT_TRUNCATED: a.safetensors ends early\n  expected: 10 bytes\n  got: 7 bytes\n');
  });

  it('known error: is a document with --json', () => {
    const { code, stdout, stderr } = report(truncated, true);
    expect(code).toBe(5);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'CHECKPOINT_TRUNCATED', exitCode: 5, what: 'a.safetensors ends early', path: 'a' },
    });
  });

  it.each([new TypeError('x is not a function'), 'text', undefined])('bug: ends with code 1 for %s', (error) => {
    const { code, stdout, stderr } = report(error, true);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'INTERNAL', exitCode: 1 } });
    expect(stderr).toContain('bug');
    if (error instanceof Error) expect(stderr).toContain('report-error.test.ts');
  });
});

describe('exitCodeDocs', () => {
  it('docs: have every code and every exit code', () => {
    const text = exitCodeDocs();
    for (const code of Object.keys(ERROR_CODES)) expect(text).toContain(`| \`${code}\` |`);
    for (const [name, code] of Object.entries(EXIT_CODES)) expect(text).toContain(`| ${code} | ${name} |`);
  });
});

describe('createRunId', () => {
  it('run id: has name, UTC time and four hex digits', () => {
    expect(createRunId('deep', new Date('2025-03-09T08:07:06.543Z'), Uint8Array.of(0x0a, 0xff))).toBe('deep-20250309-080706-0aff');
  });

  it('run id: differs between runs of one second', () => {
    const now = new Date();
    expect(new Set(Array.from({ length: 20 }, () => createRunId('run', now))).size).toBeGreaterThan(15);
  });
});
