import { describe, expect, it } from 'vitest';
import { DeepDefenseError } from '../../../src/core/index.ts';
import { createLogger, type LoggerOptions } from '../../../src/telemetry/index.ts';

function logged(options: LoggerOptions, write: (logger: ReturnType<typeof createLogger>) => void): string {
  let text = '';
  write(createLogger({ color: false, ...options, destination: { write: (part) => (text += part) } }));
  return text;
}

const problem = new DeepDefenseError('PORT_IN_USE', { what: 'port 80 is in use', todo: 'set another' });

describe('logger', () => {
  it('readable: puts one record on one line', () => {
    const text = logged({ name: 'coordinator' }, (logger) => logger.warn({ worker: 'a b', silentMs: 3100 }, 'worker is silent'));
    expect(text).toMatch(/^\d\d:\d\d:\d\d warn {2}coordinator: worker is silent worker="a b" silentMs=3100\n$/);
  });

  it('readable: shows code and message of an error, and its stack at debug only', () => {
    const text = logged({ level: 'debug' }, (logger) => {
      logger.error({ err: problem }, 'no start');
      logger.debug({ err: problem }, 'again');
    });
    const [first, second] = text.split(/^(?=\S+ debug)/m) as [string, string];
    expect(first).toMatch(/error no start\n {4}\[PORT_IN_USE\] port 80 is in use\n {6}to do: set another\n$/);
    expect(second).toContain('logger.test.ts');
  });

  it('JSON: writes one object a line with level by name and time', () => {
    const text = logged({ json: true, name: 'worker' }, (logger) => logger.child({ run: 'r1' }).info({ step: 3 }, 'done'));
    expect(text.endsWith('}\n')).toBe(true);
    expect(JSON.parse(text)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as unknown,
      name: 'worker',
      run: 'r1',
      step: 3,
      msg: 'done',
    });
  });

  it('level: keeps less severe records away', () => {
    expect(logged({ level: 'warn' }, (logger) => logger.info('hello'))).toBe('');
    expect(logged({ level: 'silent' }, (logger) => logger.fatal('hello'))).toBe('');
  });
});
