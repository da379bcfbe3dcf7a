/** @file How far behind the others the last worker of a step is. */

/** When each worker gave its last counted answer in a step. */
export class Straggling {
  readonly #lastMs = new Map<string, number>();

  answered(workerId: string, nowMs: number): void {
    this.#lastMs.set(workerId, nowMs);
  }

  /** Seconds between the median worker and the last one; undefined with fewer than two workers. */
  get result(): { readonly seconds: number; readonly worker: string } | undefined {
    const workers = [...this.#lastMs].sort(([, a], [, b]) => a - b);
    const last = workers.at(-1);
    if (last === undefined || workers.length < 2) return undefined;
    const half = (workers.length - 1) / 2;
    const at = (index: number) => (workers[index] as [string, number])[1];
    const median = (at(Math.floor(half)) + at(Math.ceil(half))) / 2;
    return { seconds: (last[1] - median) / 1000, worker: last[0] };
  }
}
