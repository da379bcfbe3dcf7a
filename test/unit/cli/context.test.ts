import { expect, it } from 'vitest';
import { CommandContext, type LogLevel } from '../../../src/cli/context.ts';

function noticeOf(json: boolean, logLevel: LogLevel): string {
  let written = '';
  new CommandContext({ json, logLevel }, { stdout: () => {}, stderr: (text) => void (written += text) }).notice('passed over a checkpoint');
  return written;
}

it('notice: is a line for people, a line of the log with --json, and nothing when all is silent', () => {
  expect(noticeOf(false, 'info')).toBe('passed over a checkpoint\n');
  expect(JSON.parse(noticeOf(true, 'warn'))).toMatchObject({ level: 'info', msg: 'passed over a checkpoint' });
  expect(noticeOf(true, 'silent')).toBe('');
});
