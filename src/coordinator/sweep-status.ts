/** @file What the HTTP server of a sweep's coordinator answers: while it waits for its turn, while it is at work, at its end. */
import {
  createMetrics,
  type HttpEndpoint,
  type MetricsText,
  type Readiness,
  startHttpServer,
  type SweepMetrics,
} from '../telemetry/index.ts';

/** Serves from the start of the process, so that a standby is seen to live. */
export class SweepStatus {
  readonly metrics: SweepMetrics = createMetrics('sweep');
  #http: HttpEndpoint | undefined;
  #scrape: (accept: string) => Promise<MetricsText> = this.metrics.scrape;
  #readiness: () => Readiness = () => ({ ready: false, reason: 'opening the sweep, or standing by' });

  /** @throws DeepDefenseError PORT_IN_USE, CONNECT_FAILED */
  static async serve(host: string, port: number): Promise<SweepStatus> {
    const status = new SweepStatus();
    status.#http = await startHttpServer({
      host,
      port,
      scrape: (accept) => status.#scrape(accept),
      readiness: () => status.#readiness(),
    });
    return status;
  }

  /** e.g. `http://127.0.0.1:9464`. */
  get url(): string {
    return this.#http?.url ?? '';
  }

  /** From now on these answer. */
  follow(scrape: (accept: string) => Promise<MetricsText>, readiness: () => Readiness): void {
    this.#scrape = scrape;
    this.#readiness = readiness;
  }

  async close(): Promise<void> {
    await this.#http?.close();
  }
}
