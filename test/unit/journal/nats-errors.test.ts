import { lookup } from 'node:dns/promises';
import { describe, expect, it } from 'vitest';
import { isTransient, openNatsLink } from '../../../src/journal/index.ts';

describe('a NATS server whose name has no address', () => {
  it('is waited for, as a cluster makes names a moment after the pods', async () => {
    const unknown: unknown = await lookup('nobody.invalid').catch((error: unknown) => error);
    expect(isTransient(unknown)).toBe(true);
    expect(isTransient(Object.assign(new Error('getaddrinfo EAI_AGAIN nats'), { code: 'EAI_AGAIN' }))).toBe(true);
    expect(isTransient(Object.assign(new Error('no such file'), { code: 'ENOENT' }))).toBe(false);
  });

  it('is told of at once, and given up in the end', async () => {
    const told: string[] = [];
    const link = openNatsLink({ servers: 'nobody.invalid:4222', patienceMs: 300, onLost: (reason) => told.push(reason) });
    await expect(link).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('nobody.invalid');
  });
});
