/** @file What was checked and how it went, a line each on stdout. */
import { setTimeout as sleep } from 'node:timers/promises';

const WAIT_MS = 120_000;
const AGAIN_MS = 500;

/** Counts checks. */
export class Report {
  passed = 0;
  failed = 0;

  section(name: string): void {
    console.log(`\n${name}`);
  }

  /** @param problem what is wrong; empty where nothing is */
  check(name: string, problem: string): void {
    if (problem === '') this.passed++;
    else this.failed++;
    console.log(problem === '' ? `  ok      ${name}` : `  FAILED  ${name}: ${problem}`);
  }

  /** Waits until nothing is wrong any more, two minutes at most. */
  async eventually(name: string, problem: () => Promise<string>): Promise<void> {
    const untilMs = performance.now() + WAIT_MS;
    let last = await problem();
    while (last !== '' && performance.now() < untilMs) {
      await sleep(AGAIN_MS);
      last = await problem();
    }
    this.check(name, last);
  }
}

/** The problem that two values differ; empty where they don't. */
export function differs(got: unknown, expected: unknown): string {
  const [is, wanted] = [JSON.stringify(got), JSON.stringify(expected)];
  return is === wanted ? '' : `${is}, expected ${wanted}`;
}
