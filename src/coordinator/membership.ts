/**
 * @file Who takes part in the run: one member per open stream, its state, its signs of life, and what every member must share with
 * the first ready one (engine fingerprint, metric names) and with the run (schema, dataset, protocol). Pure: times come in as arguments.
 */
import { DeepDefenseError, PACKAGE_VERSION, PROTOCOL_VERSION } from '../core/index.ts';
import type { Hello, Ready } from '../wire/index.ts';

/**
 * State of a member:
 * - `connected`: its stream is open, it hasn't said Hello;
 * - `preparing`: welcomed; it opens data and compiles;
 * - `ready`: takes tasks;
 * - `gone`: its stream is closed or it was refused; never comes back under the same id.
 */
export type MemberState = 'connected' | 'preparing' | 'ready' | 'gone';

/** What may follow what. */
export const MEMBER_TRANSITIONS: Readonly<Record<MemberState, readonly MemberState[]>> = {
  connected: ['preparing', 'gone'],
  preparing: ['ready', 'gone'],
  ready: ['gone'],
  gone: [],
};

/** One stream of one worker process. A worker that reconnects is a new member. */
export interface Member {
  /** Unique in this coordinator process, ascending. */
  readonly id: number;
  readonly state: MemberState;
  /** True after it was silent for longer than a lease, until it is heard again. */
  readonly silent: boolean;
  readonly lastHeardMs: number;
  /** Empty before Hello. */
  readonly workerId: string;
  readonly host: string;
  readonly processId: number;
}

type MutableMember = { -readonly [Key in keyof Member]: Member[Key] };

/** What all workers of a run share. */
export interface RunIdentity {
  readonly schemaHash: string;
  readonly datasetHash: string;
  /** Fingerprint that the run is bound to already (a resumed run); else the first ready worker fixes it. */
  readonly engineFingerprint?: string | undefined;
}

/** The members of a run. */
export class Membership {
  readonly #identity: RunIdentity;
  readonly #members = new Map<number, MutableMember>();
  #fingerprint: string | undefined;
  #metricNames: readonly string[] | undefined;
  #nextId = 1;

  constructor(identity: RunIdentity) {
    this.#identity = identity;
    this.#fingerprint = identity.engineFingerprint;
  }

  /** Engine fingerprint of the run; undefined before the first worker was ready. */
  get engineFingerprint(): string | undefined {
    return this.#fingerprint;
  }

  /** Metric names of the run; undefined before the first worker was ready. */
  get metricNames(): readonly string[] | undefined {
    return this.#metricNames;
  }

  /** Members that aren't gone, by id. */
  all(): Member[] {
    return [...this.#members.values()];
  }

  /**
   * The member with this id.
   * @throws DeepDefenseError INTERNAL when it is gone.
   */
  get(id: number): Member {
    const member = this.#members.get(id);
    if (member === undefined) throw new DeepDefenseError('INTERNAL', { what: `member ${id} is gone` });
    return member;
  }

  /** The member with this id, if it isn't gone. */
  find(id: number): Member | undefined {
    return this.#members.get(id);
  }

  /** Members that are ready and not silent, by id. */
  ready(): Member[] {
    return this.all().filter(({ state, silent }) => state === 'ready' && !silent);
  }

  /** Members that are or may soon be ready: welcomed and not silent. */
  present(): Member[] {
    return this.all().filter(({ state, silent }) => (state === 'ready' || state === 'preparing') && !silent);
  }

  /** Takes so much time off everybody's silence. */
  excuse(ms: number, nowMs: number): void {
    for (const member of this.#members.values()) member.lastHeardMs = Math.min(nowMs, member.lastHeardMs + ms);
  }

  /** A new stream. */
  connect(nowMs: number): Member {
    const member: MutableMember = {
      id: this.#nextId,
      state: 'connected',
      silent: false,
      lastHeardMs: nowMs,
      workerId: '',
      host: '',
      processId: 0,
    };
    this.#nextId += 1;
    this.#members.set(member.id, member);
    return member;
  }

  /**
   * The member says who it is.
   * @returns the member of the same worker that it replaces, if any: the worker has reconnected before its old stream was closed.
   * @throws DeepDefenseError PROTOCOL_VERSION for another protocol or package, PROTOCOL_BAD_MESSAGE for a second or an anonymous Hello.
   */
  hello(id: number, hello: Hello): Member | undefined {
    const member = this.#require(id);
    if (hello.protocolVersion !== PROTOCOL_VERSION) {
      throw new DeepDefenseError('PROTOCOL_VERSION', {
        what: `worker "${hello.workerId}" speaks another protocol`,
        expected: `protocol ${PROTOCOL_VERSION}`,
        got: `protocol ${hello.protocolVersion} (package ${hello.packageVersion || 'unknown'})`,
        todo: 'install the same version of deepdefense on both sides',
        fields: { workerId: hello.workerId },
      });
    }
    // Another build can compute other bits, and the first ready worker binds the run.
    if (hello.packageVersion !== PACKAGE_VERSION) {
      throw new DeepDefenseError('PROTOCOL_VERSION', {
        what: `worker "${hello.workerId}" is another version of deepdefense`,
        expected: `version ${PACKAGE_VERSION}, as the coordinator`,
        got: `version ${hello.packageVersion || 'unknown'}`,
        todo: 'install the same version of deepdefense on both sides',
        fields: { workerId: hello.workerId },
      });
    }
    if (hello.workerId === '') throw badOrder('a Hello with a worker id', 'an empty worker id');
    const replaced = this.all().find((other) => other.workerId === hello.workerId && other.id !== id);
    this.#move(member, 'preparing', 'Hello');
    member.workerId = hello.workerId;
    member.host = hello.host;
    member.processId = hello.processId;
    return replaced;
  }

  /**
   * The member has compiled. The first one binds the run to its engine fingerprint and metric names.
   * @throws DeepDefenseError PROTOCOL_SCHEMA, PROTOCOL_FINGERPRINT or DATA_CHECKSUM where it differs from the run.
   */
  becomeReady(id: number, ready: Ready): void {
    const member = this.#require(id);
    if (member.state !== 'preparing') throw badOrder('Ready after Hello, once', `Ready in state "${member.state}"`);
    const fields = { workerId: member.workerId };
    if (ready.schemaHash !== this.#identity.schemaHash) {
      throw new DeepDefenseError('PROTOCOL_SCHEMA', {
        what: `worker "${member.workerId}" has another model schema`,
        expected: this.#identity.schemaHash,
        got: ready.schemaHash,
        todo: 'install the same version of deepdefense on both sides',
        fields,
      });
    }
    if (ready.datasetHash !== this.#identity.datasetHash) {
      throw new DeepDefenseError('DATA_CHECKSUM', {
        what: `worker "${member.workerId}" has another dataset`,
        expected: this.#identity.datasetHash,
        got: ready.datasetHash,
        todo: 'start the worker without a data path, so that it fetches the dataset from the coordinator',
        fields,
      });
    }
    if (this.#fingerprint !== undefined && ready.engineFingerprint !== this.#fingerprint) {
      throw new DeepDefenseError('PROTOCOL_FINGERPRINT', {
        what: `worker "${member.workerId}" has another engine, so its results could differ in the last bits`,
        expected: this.#fingerprint,
        got: ready.engineFingerprint,
        todo: 'use workers of one kind in a run (engine, versions, threads, CPU features), or start another run',
        fields,
      });
    }
    if (this.#metricNames !== undefined && this.#metricNames.join() !== ready.metricNames.join()) {
      throw new DeepDefenseError('PROTOCOL_SCHEMA', {
        what: `worker "${member.workerId}" reports other metrics`,
        expected: this.#metricNames.join(', '),
        got: ready.metricNames.join(', '),
        todo: 'install the same version of deepdefense on both sides',
        fields,
      });
    }
    this.#fingerprint ??= ready.engineFingerprint;
    this.#metricNames ??= [...ready.metricNames];
    this.#move(member, 'ready', 'Ready');
  }

  /** A sign of life. Returns true when the member was silent until now. */
  heard(id: number, nowMs: number): boolean {
    const member = this.#members.get(id);
    if (member === undefined) return false;
    member.lastHeardMs = nowMs;
    const returned = member.silent;
    member.silent = false;
    return returned;
  }

  /** Marks members that said nothing for longer than `leaseMs` as silent and returns those that are newly so. */
  findSilent(nowMs: number, leaseMs: number): Member[] {
    const found: Member[] = [];
    for (const member of this.#members.values()) {
      if (member.silent || nowMs - member.lastHeardMs <= leaseMs) continue;
      member.silent = true;
      found.push(member);
    }
    return found;
  }

  /** The member's stream is closed or it was refused. Returns undefined when it was gone already. */
  leave(id: number): Member | undefined {
    const member = this.#members.get(id);
    if (member === undefined) return undefined;
    this.#move(member, 'gone', 'leave');
    this.#members.delete(id);
    return member;
  }

  #require(id: number): MutableMember {
    const member = this.#members.get(id);
    if (member === undefined) throw badOrder('a member of the run', `member ${id}, which is gone`);
    return member;
  }

  #move(member: MutableMember, to: MemberState, cause: string): void {
    if (!MEMBER_TRANSITIONS[member.state].includes(to)) throw badOrder(`${cause} at its time`, `${cause} in state "${member.state}"`);
    member.state = to;
  }
}

function badOrder(expected: string, got: string): DeepDefenseError {
  return new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
    what: 'a message came at the wrong time',
    expected,
    got,
    todo: 'install the same version of deepdefense on both sides',
  });
}
