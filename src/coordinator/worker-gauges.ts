/** @file Gauges of single workers. A worker that has left has none: their number is that of the workers present. */
import type { CoordinatorMetrics } from '../telemetry/index.ts';

/** Weight of the last answer in the mean rate. */
const LAST = 0.2;

export class WorkerGauges {
  readonly #metrics: Pick<CoordinatorMetrics, 'workerRate' | 'workerMemory'>;
  /** Samples per second by worker; exponential means. */
  readonly #rates = new Map<string, number>();

  constructor(metrics: Pick<CoordinatorMetrics, 'workerRate' | 'workerMemory'>) {
    this.#metrics = metrics;
  }

  /** @param computeMs pure computation */
  answered(worker: string, samples: number, computeMs: number): void {
    if (computeMs <= 0 || samples <= 0) return;
    const rate = (samples / computeMs) * 1000;
    const before = this.#rates.get(worker);
    const mean = before === undefined ? rate : (1 - LAST) * before + LAST * rate;
    if (!Number.isFinite(mean)) return;
    this.#rates.set(worker, mean);
    this.#metrics.workerRate.set({ worker }, mean);
  }

  memory(worker: string, bytes: number): void {
    if (Number.isFinite(bytes)) this.#metrics.workerMemory.set({ worker }, bytes);
  }

  left(worker: string): void {
    this.#rates.delete(worker);
    this.#metrics.workerRate.remove({ worker });
    this.#metrics.workerMemory.remove({ worker });
  }
}
