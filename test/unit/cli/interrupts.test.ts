import { afterEach, describe, expect, it } from 'vitest';
import { onInterrupt } from '../../../src/cli/interrupts.ts';

let remove = (): void => {};
afterEach(() => remove());

describe('onInterrupt', () => {
  it('signal: stops cleanly once and ends at once when it comes again', () => {
    const calls: (string | number)[] = [];
    const interrupt = onInterrupt({ stop: () => calls.push('stop'), abandon: () => calls.push('abandon') }, (code) => calls.push(code));
    remove = interrupt.remove;
    expect(interrupt.signal()).toBeUndefined();
    process.emit('SIGINT', 'SIGINT');
    expect(interrupt.signal()).toBe('SIGINT');
    expect(calls).toEqual(['stop']);
    process.emit('SIGTERM', 'SIGTERM');
    expect(calls).toEqual(['stop', 'abandon', 130]);
  });

  it('handlers: are gone after remove', () => {
    const before = process.listenerCount('SIGINT');
    onInterrupt({ stop: () => {}, abandon: () => {} }).remove();
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});
