import { describe, expect, it } from 'vitest';
import type { Claim, TaskSource } from '../../../src/queue/index.ts';
import { FairSource } from '../../../src/queue/index.ts';
import { settle, VirtualClock } from '../coordinator/virtual-clock.ts';

/** A queue in memory that remembers what became of its tasks. */
class TestSource implements TaskSource {
  readonly given: string[] = [];
  readonly released: string[] = [];
  closed = false;
  #waiting: ((claim: Claim | undefined) => void)[] = [];
  #failing: ((error: Error) => void)[] = [];
  #count = 0;
  readonly #name: string;
  readonly #isBusy: () => boolean;

  /** @param isBusy it has a task for whoever asks */
  constructor(name: string, isBusy: () => boolean = () => true) {
    this.#name = name;
    this.#isBusy = isBusy;
  }

  async claim(_worker: string, signal: AbortSignal): Promise<Claim | undefined> {
    if (this.#isBusy()) return this.#next();
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      this.#failing.push(reject);
      signal.addEventListener('abort', () => {
        this.#waiting = this.#waiting.filter((each) => each !== resolve);
        resolve(undefined);
      });
    });
  }

  /** A task comes, or with `end` the news that none will. */
  bring(end = false): void {
    for (const resolve of this.#waiting.splice(0)) resolve(end ? undefined : this.#next());
  }

  fail(): void {
    for (const reject of this.#failing.splice(0)) reject(new Error(`${this.#name} is away`));
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  #next(): Claim {
    const id = `${this.#name}${this.#count++}`;
    this.given.push(id);
    const done = async (): Promise<void> => {};
    const release = async (): Promise<void> => void this.released.push(id);
    return { task: { id, payload: '' }, epoch: 1, leaseMs: 1000, extend: done, commit: done, fail: done, release };
  }
}

const signal = new AbortController().signal;

/** Works on so many tasks, each of which takes its time. */
async function work(fair: FairSource, clock: VirtualClock, count: number, seconds: (id: string) => number): Promise<string[]> {
  const order: string[] = [];
  for (let i = 0; i < count; i++) {
    let isAnswered = false;
    const asked = fair.claim('w', signal).finally(() => {
      isAnswered = true;
    });
    // The head starts of those that have nothing pass.
    for (let waited = 0; waited < 10 && !isAnswered; waited++) for (let i = 0; i < 5; i++) await settle();
    if (!isAnswered) await clock.advance(1000);
    const claim = await asked;
    if (claim === undefined) break;
    clock.sleep(seconds(claim.task.id) * 1000);
    await claim.commit('');
    order.push(claim.task.id);
  }
  return order;
}

const countOf = (order: readonly string[], name: string) => order.filter((id) => id.startsWith(name)).length;

describe('fair source', () => {
  it('shares time by weight, whatever a task takes', async () => {
    const clock = new VirtualClock();
    const sources = [
      { name: 'a', source: new TestSource('a'), weight: 1 },
      { name: 'b', source: new TestSource('b'), weight: 3 },
      { name: 'c', source: new TestSource('c'), weight: 1 },
    ];
    const fair = new FairSource({ sources, clock });
    const seconds = (id: string) => (id.startsWith('a') ? 10 : 2);
    const order = await work(fair, clock, 700, seconds);
    const time = (name: string) => countOf(order, name) * seconds(name);
    const all = time('a') + time('b') + time('c');
    expect(time('a') / all).toBeCloseTo(0.2, 1);
    expect(time('b') / all).toBeCloseTo(0.6, 1);
    expect(time('c') / all).toBeCloseTo(0.2, 1);
    expect(sources.flatMap(({ source }) => source.released)).toEqual([]);
  });

  it('lets one with a very high weight always go first', async () => {
    const clock = new VirtualClock();
    let left = 5;
    const urgent = new TestSource('u', () => left-- > 0);
    const fair = new FairSource({
      sources: [
        { name: 'a', source: new TestSource('a'), weight: 1 },
        { name: 'u', source: urgent, weight: 1e9 },
      ],
      clock,
    });
    const order = await work(fair, clock, 8, () => 1);
    expect(order.slice(1, 6).every((id) => id.startsWith('u'))).toBe(true);
    expect(countOf(order, 'a')).toBe(3);
  });

  it('does not let one that was idle for long make up for it', async () => {
    const clock = new VirtualClock();
    let isBusy = false;
    const late = new TestSource('l', () => isBusy);
    const fair = new FairSource({
      sources: [
        { name: 'a', source: new TestSource('a'), weight: 1 },
        { name: 'l', source: late, weight: 1 },
      ],
      clock,
    });
    expect(countOf(await work(fair, clock, 100, () => 1), 'a')).toBe(100);
    isBusy = true;
    late.bring();
    await settle();
    const order = await work(fair, clock, 40, () => 1);
    expect(Math.abs(countOf(order, 'l') - 20)).toBeLessThanOrEqual(2);
  });

  it('goes on when one ends or is away, and gives back what comes while the worker is busy', async () => {
    const clock = new VirtualClock();
    const ended: string[] = [];
    const [idle, away] = [new TestSource('i', () => false), new TestSource('x', () => false)];
    let left = 3;
    const busy = new TestSource('a', () => left-- > 0);
    const fair = new FairSource({
      sources: [
        { name: 'i', source: idle, weight: 1 },
        { name: 'x', source: away, weight: 1 },
        { name: 'a', source: busy, weight: 1 },
      ],
      onEnd: (name, error) => ended.push(`${name}${error === undefined ? '' : ` ${error.message}`}`),
      clock,
    });
    expect(await work(fair, clock, 2, () => 1)).toEqual(['a0', 'a1']);
    idle.bring();
    await settle();
    expect(idle.released).toEqual(['i0']);
    away.fail();
    await settle();
    expect(await work(fair, clock, 1, () => 1)).toEqual(['a2']);
    const last = fair.claim('w', signal);
    await clock.advance(2000);
    idle.bring(true);
    await clock.advance(2000);
    busy.bring(true);
    await expect(last).rejects.toThrow('x is away');
    expect(ended).toEqual(['x x is away', 'i', 'a']);
  });

  it('gives back the second of two that answer at once, and all when it is closed', async () => {
    const clock = new VirtualClock();
    const [a, b] = [new TestSource('a', () => false), new TestSource('b', () => false)];
    const fair = new FairSource({
      sources: [
        { name: 'a', source: a, weight: 1 },
        { name: 'b', source: b, weight: 1 },
      ],
      clock,
    });
    const asked = fair.claim('w', signal);
    await clock.advance(1000);
    b.bring();
    a.bring();
    expect((await asked)?.task.id).toBe('a0');
    expect(b.released).toEqual(['b0']);
    await fair.close();
    expect([a.closed, b.closed]).toEqual([true, true]);
  });

  it('asks for nothing when the worker is asked to leave', async () => {
    const clock = new VirtualClock();
    const idle = new TestSource('i', () => false);
    const fair = new FairSource({ sources: [{ name: 'i', source: idle, weight: 1 }], clock });
    const leaving = new AbortController();
    const asked = fair.claim('w', leaving.signal);
    await settle();
    leaving.abort();
    expect(await asked).toBeUndefined();
    idle.bring();
    await settle();
    expect(idle.released).toEqual(['i0']);
  });

  it('waits without any source when it is endless, takes those that are added, and lets go of those that are removed', async () => {
    const fair = new FairSource({ sources: [], isEndless: true });
    const asked = fair.claim('w', signal);
    const first = new TestSource('a');
    fair.add({ name: 'a', source: first, weight: 1 });
    expect((await asked)?.task.id).toBe('a0');
    const idle = new TestSource('b', () => false);
    fair.add({ name: 'b', source: idle, weight: 1 });
    fair.remove('a');
    const again = fair.claim('w', signal);
    await settle();
    idle.bring();
    expect((await again)?.task.id).toBe('b0');
    expect(first.given).toEqual(['a0']);
    await fair.close();
    expect(idle.closed).toBe(true);
    // Whoever removes a source closes it.
    expect(first.closed).toBe(false);
  });

  it('asks only while the worker is idle where that is wished, so that no task of an idle source is given back', async () => {
    const busy = new TestSource('a');
    const idle = new TestSource('b', () => false);
    const sources = [
      { name: 'b', source: idle, weight: 1 },
      { name: 'a', source: busy, weight: 1 },
    ];
    const fair = new FairSource({ sources, asksWhenIdle: true, headStartMs: 1 });
    expect((await fair.claim('w', signal))?.task.id).toBe('a0');
    idle.bring();
    await settle();
    expect(idle.given).toEqual([]);
    expect((await fair.claim('w', signal))?.task.id).toBe('a1');
    await fair.close();
  });

  it('draws by weight whose turn it is first, so that workers that begin together spread', async () => {
    const firsts: string[] = [];
    for (let i = 0; i < 100; i++) {
      const sources = [
        { name: 'a', source: new TestSource('a'), weight: 1 },
        { name: 'b', source: new TestSource('b'), weight: 3 },
      ];
      let draws = 0;
      // A low-discrepancy pair per worker.
      const random = () => ((i + 0.5) * (draws++ === 0 ? 0.7548776662 : 0.569840291)) % 1;
      const fair = new FairSource({ sources, random });
      firsts.push((await fair.claim('w', signal))?.task.id ?? '');
      await fair.close();
    }
    expect(countOf(firsts, 'b')).toBeGreaterThan(65);
    expect(countOf(firsts, 'b')).toBeLessThan(85);
  });
});
