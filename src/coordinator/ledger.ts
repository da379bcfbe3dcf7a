/** @file The run's journal for callers that must not wait: appends stay in order, and the first failure is thrown at the next check. */
import type { FileJournal, JournalEvent } from '../journal/index.ts';

export class Ledger {
  readonly #journal: FileJournal;
  #last: Promise<unknown> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(journal: FileJournal) {
    this.#journal = journal;
  }

  /** Sequence number and hash of the last line on file; complete after {@link flush}. */
  get position(): { readonly sequence: number; readonly hash: string } {
    return { sequence: this.#journal.sequence, hash: this.#journal.hash };
  }

  /** Appends soon. */
  record(event: JournalEvent): void {
    this.#last = this.#journal.append(event).catch((error: unknown) => {
      this.#failure ??= { error };
    });
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
    await this.#journal.sync();
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#journal.close();
  }
}
