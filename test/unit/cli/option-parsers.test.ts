import { describe, expect, it } from 'vitest';
import { hostAndPort, integerFrom, integerIn } from '../../../src/cli/option-parsers.ts';

describe('integerIn', () => {
  it.each(['0', '7', ' 3 '])('value: %j is taken', (text) => {
    expect(integerIn(0, 7)(text)).toBe(Number(text));
  });
  it.each(['-1', '8', '1.5', '', ' ', 'x', 'Infinity'])('value: %j is refused', (text) => {
    expect(() => integerIn(0, 7)(text)).toThrow('expected an integer in 0..7');
  });
});

describe('integerFrom', () => {
  it.each(['1', '4096', String(Number.MAX_SAFE_INTEGER)])('value: %j is taken', (text) => {
    expect(integerFrom(1)(text)).toBe(Number(text));
  });
  it.each(['0', '-3', '1.5', '', ' ', 'x', 'Infinity', '1e30'])('value: %j is refused', (text) => {
    expect(() => integerFrom(1)(text)).toThrow('expected an integer >= 1');
  });
});

describe('hostAndPort', () => {
  it.each(['127.0.0.1:50051', 'coordinator.cluster.local:1', '[::1]:65535'])('address: %s is taken', (text) => {
    expect(hostAndPort(text)).toBe(text);
  });
  it.each(['localhost', ':50051', 'host:', 'host:0', 'host:65536', 'host:port', '::1:50051', 'http://host:50051', 'a b:1'])(
    'address: %j is refused',
    (text) => {
      expect(() => hostAndPort(text)).toThrow('expected HOST:PORT');
    },
  );
});
