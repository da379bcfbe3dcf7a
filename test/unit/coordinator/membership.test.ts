import { describe, expect, it } from 'vitest';
import { MEMBER_TRANSITIONS, Membership, type MemberState } from '../../../src/coordinator/membership.ts';
import { PACKAGE_VERSION, PROTOCOL_VERSION } from '../../../src/core/index.ts';
import type { Hello, Ready } from '../../../src/wire/index.ts';

const hello = (overrides: Partial<Hello> = {}): Hello => ({
  workerId: 'w',
  protocolVersion: PROTOCOL_VERSION,
  packageVersion: PACKAGE_VERSION,
  host: 'h',
  processId: 3,
  ...overrides,
});
const ready = (overrides: Partial<Ready> = {}): Ready => ({
  schemaHash: 's',
  datasetHash: 'd',
  engineFingerprint: 'e',
  metricNames: ['loss'],
  captureMs: 0,
  compileMs: 0,
  ...overrides,
});

/** Brings a new member into a state. */
function memberIn(
  state: MemberState,
  membership = new Membership({ schemaHash: 's', datasetHash: 'd' }),
): { membership: Membership; id: number } {
  const { id } = membership.connect(0);
  if (state === 'preparing' || state === 'ready') membership.hello(id, hello({ workerId: `w${id}` }));
  if (state === 'ready') membership.becomeReady(id, ready());
  if (state === 'gone') membership.leave(id);
  return { membership, id };
}

describe('membership', () => {
  const events: Record<string, { to: MemberState; act: (membership: Membership, id: number) => unknown }> = {
    Hello: { to: 'preparing', act: (membership, id) => membership.hello(id, hello()) },
    Ready: { to: 'ready', act: (membership, id) => membership.becomeReady(id, ready()) },
  };
  for (const from of Object.keys(MEMBER_TRANSITIONS) as MemberState[]) {
    for (const [name, { to, act }] of Object.entries(events)) {
      const allowed = MEMBER_TRANSITIONS[from].includes(to) && from !== to;
      it(`${allowed ? 'takes' : 'refuses'} ${name} when the member is ${from}`, () => {
        const { membership, id } = memberIn(from);
        if (allowed) {
          act(membership, id);
          expect(membership.all()[0]?.state).toBe(to);
        } else expect(() => act(membership, id)).toThrow(expect.objectContaining({ code: 'PROTOCOL_BAD_MESSAGE' }));
      });
    }
    it(`lets a member go when it is ${from}`, () => {
      const { membership, id } = memberIn(from);
      expect(membership.leave(id)?.id).toBe(from === 'gone' ? undefined : id);
      expect(membership.all()).toEqual([]);
    });
  }

  it('binds the run to the first ready worker and refuses others', () => {
    const { membership } = memberIn('ready');
    expect(membership.engineFingerprint).toBe('e');
    const second = memberIn('preparing', membership).id;
    const attempt = (overrides: Partial<Ready>) => () => membership.becomeReady(second, ready(overrides));
    expect(attempt({ engineFingerprint: 'f' })).toThrow(expect.objectContaining({ code: 'PROTOCOL_FINGERPRINT' }));
    expect(attempt({ schemaHash: 'f' })).toThrow(expect.objectContaining({ code: 'PROTOCOL_SCHEMA' }));
    expect(attempt({ metricNames: ['loss', 'x'] })).toThrow(expect.objectContaining({ code: 'PROTOCOL_SCHEMA' }));
    expect(attempt({ datasetHash: 'f' })).toThrow(expect.objectContaining({ code: 'DATA_CHECKSUM' }));
    expect(attempt({})).not.toThrow();
  });

  it('is bound before the first worker when the run was resumed', () => {
    const membership = new Membership({ schemaHash: 's', datasetHash: 'd', engineFingerprint: 'old' });
    const { id } = memberIn('preparing', membership);
    expect(() => membership.becomeReady(id, ready())).toThrow(expect.objectContaining({ code: 'PROTOCOL_FINGERPRINT' }));
  });

  it('refuses another protocol and a Hello without a name', () => {
    const { membership, id } = memberIn('connected');
    expect(() => membership.hello(id, hello({ protocolVersion: PROTOCOL_VERSION + 1 }))).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VERSION' }),
    );
    expect(() => membership.hello(id, hello({ packageVersion: '0.0.1' }))).toThrow(expect.objectContaining({ code: 'PROTOCOL_VERSION' }));
    expect(() => membership.hello(id, hello({ workerId: '' }))).toThrow(expect.objectContaining({ code: 'PROTOCOL_BAD_MESSAGE' }));
  });

  it('names the old member when a worker reconnects before its stream was closed', () => {
    const { membership, id } = memberIn('connected');
    membership.hello(id, hello({ workerId: 'a' }));
    const again = membership.connect(0);
    expect(membership.hello(again.id, hello({ workerId: 'a' }))?.id).toBe(id);
  });

  it('finds a silent member once and takes it back when it is heard', () => {
    const { membership, id } = memberIn('ready');
    membership.heard(id, 1000);
    expect(membership.findSilent(1300, 300)).toEqual([]);
    expect(membership.findSilent(1301, 300).map((member) => member.id)).toEqual([id]);
    expect(membership.findSilent(1400, 300)).toEqual([]);
    expect(membership.ready()).toEqual([]);
    expect(membership.heard(id, 1500)).toBe(true);
    expect(membership.heard(id, 1501)).toBe(false);
    expect(membership.ready().map((member) => member.id)).toEqual([id]);
  });
});
