/** @file The wish to end a run: asked for once, it lets the step in progress finish; the rest of the run looks at it between steps. */

export class StopControl {
  readonly #onRequest: (reason: string, times: number) => void;
  #reason: string | undefined;
  #times = 0;

  /** @param onRequest called at each request with the number of requests so far */
  constructor(onRequest: (reason: string, times: number) => void) {
    this.#onRequest = onRequest;
  }

  get requested(): boolean {
    return this.#reason !== undefined;
  }

  /** Why; the first reason counts. */
  get reason(): string {
    return this.#reason ?? '';
  }

  request(reason: string): void {
    this.#reason ??= reason;
    this.#times += 1;
    this.#onRequest(this.#reason, this.#times);
  }
}
