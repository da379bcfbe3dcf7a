/** @file The run's journal for callers that must not wait: appends stay in order, and the first failure is thrown at the next check. */
import type { FileJournal, JournalEvent } from '../journal/index.ts';
import type { CoordinatorMetrics } from '../telemetry/index.ts';

/** What a ledger shows of itself. */
export type LedgerMetrics = Pick<CoordinatorMetrics, 'ledgerSamples' | 'ledgerGap' | 'ledgerDurableStep'>;

export interface LedgerStart {
  readonly metrics: LedgerMetrics;
  readonly batchSize: number;
  /** Committed steps that this process goes on from. */
  readonly step: number;
}

export class Ledger {
  readonly #journal: FileJournal;
  readonly #start: LedgerStart;
  /** Samples that the steps that count have consumed. */
  #samples: number;
  /** Position of the next step, if none is missed. */
  #position: number;
  #gap = 0;
  /** Steps whose line is written. */
  #written: number;
  #last: Promise<unknown> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(journal: FileJournal, start: LedgerStart) {
    this.#journal = journal;
    this.#start = start;
    this.#position = start.step * start.batchSize;
    this.#samples = this.#position;
    this.#written = start.step;
    start.metrics.ledgerSamples.set(this.#samples);
    start.metrics.ledgerDurableStep.set(start.step);
  }

  /** Sequence number and hash of the last line on file; complete after {@link flush}. */
  get position(): { readonly sequence: number; readonly hash: string } {
    return { sequence: this.#journal.sequence, hash: this.#journal.hash };
  }

  /** Appends soon. */
  record(event: JournalEvent): void {
    if (event.type === 'step-committed') this.#account(event);
    const written = event.type === 'step-committed' ? event.step + event.samples / this.#start.batchSize : undefined;
    this.#last = this.#journal.append(event).then(
      () => {
        if (written !== undefined) this.#written = written;
        // Lines of other events are forced to the disk, with all before them.
        else this.#start.metrics.ledgerDurableStep.set(this.#written);
      },
      (error: unknown) => {
        this.#failure ??= { error };
      },
    );
  }

  #account({ position, samples }: Extract<JournalEvent, { type: 'step-committed' }>): void {
    const { metrics } = this.#start;
    this.#gap += Math.abs(position - this.#position);
    this.#position = position + samples;
    this.#samples += samples;
    metrics.ledgerSamples.set(this.#samples);
    metrics.ledgerGap.set(this.#gap);
  }

  /**
   * Throws if an append has failed.
   * @throws DeepDefenseError STORAGE_FAILED
   */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Waits for all appends. @throws DeepDefenseError STORAGE_FAILED */
  async flush(): Promise<void> {
    await this.#last;
    this.check();
  }

  /** Waits for all appends and forces them to disk. @throws DeepDefenseError STORAGE_FAILED */
  async sync(): Promise<void> {
    await this.flush();
    const written = this.#written;
    await this.#journal.sync();
    this.#start.metrics.ledgerDurableStep.set(written);
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#journal.close();
  }
}
