import { describe, expect, it } from 'vitest';
import { natsArguments, natsOptionsOf } from '../../../src/cli/sweep/nats-options.ts';

describe('NATS options', () => {
  it.each(['nats://127.0.0.1:4222', 'localhost', '127.0.0.1:4222,localhost:4223', '[::1]:4222', 'nats://me:secret@127.0.0.1'])(
    'allow plain text to this machine: %s',
    (nats) => {
      expect(natsOptionsOf({ nats }, { certs: 'certs' })).toMatchObject({ servers: nats.replace('me:secret@', '') });
      expect(natsOptionsOf({ nats }, { certs: 'certs' })).not.toHaveProperty('certs');
    },
  );

  it.each(['nats://10.0.0.5:4222', 'nats.example:4222', '127.0.0.1:4222,10.0.0.5:4222', 'nats://me:secret@10.0.0.5', '[fd00::1]:4222'])(
    'refuse plain text to other machines without --insecure: %s',
    (nats) => {
      expect(() => natsOptionsOf({ nats }, {})).toThrow('--insecure');
      expect(natsOptionsOf({ nats }, { insecure: true })).toBeDefined();
    },
  );

  it('use certificates for TLS, beside a login', () => {
    const nats = 'tls://me:secret@nats-0:4222,tls://nats-1:4222';
    expect(natsOptionsOf({ nats }, { certs: 'certs' })).toMatchObject({
      servers: 'tls://nats-0:4222,tls://nats-1:4222',
      certs: 'certs',
      user: 'me',
      password: 'secret',
    });
  });

  it('refuse a cluster of which one server speaks TLS', () => {
    expect(() => natsOptionsOf({ nats: 'tls://nats-0,nats-1' }, { insecure: true })).toThrow('all or none');
  });

  it('go on to worker processes, --insecure included', () => {
    expect(natsArguments({ nats: 'nats://10.0.0.5' }, { insecure: true })).toEqual(['--nats', 'nats://10.0.0.5', '--insecure']);
    expect(natsArguments({ nats: 'nats://127.0.0.1', natsPatience: 5 }, {})).toEqual([
      '--nats',
      'nats://127.0.0.1',
      '--nats-patience',
      '5',
    ]);
  });

  it('turn the seconds of patience into milliseconds', () => {
    expect(natsOptionsOf({ nats: 'nats://127.0.0.1', natsPatience: 5 }, {})).toMatchObject({ patienceMs: 5000 });
  });
});
