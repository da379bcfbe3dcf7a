/**
 * @file The journal of a sweep as a stream on NATS JetStream: message n is line n of the file that the journal would be, sealed in the
 * same way. A message is appended only behind the one that the writer knows as the last, so that of two writers one fails.
 */
import { randomUUID } from 'node:crypto';
import { type Clock, DeepDefenseError, systemClock } from '../core/index.ts';
import type { EventLog, OpenedLog } from './event-log.ts';
import { checkJournalFormat } from './journal-format.ts';
import { countLine, type JournalMetrics, timedSync } from './journal-metrics.ts';
import type { JournalRecord } from './journal-record.ts';
import { describeStream, ensureStream, isConflict, type NatsLink, natsError, type SweepNames, sweepNames } from './nats/index.ts';
import { bodyOf, chain, GENESIS, sealed } from './seal.ts';
import { tooLarge } from './too-large.ts';

export interface JetStreamJournalOptions {
  /** The connection; stays open when the journal is closed. */
  readonly link: NatsLink;
  readonly sweepId: string;
  /** Hash of the sweep's definition. */
  readonly definition: string;
  readonly clock?: Clock | undefined;
  readonly metrics?: JournalMetrics | undefined;
}

/** Messages that are asked for at a time when a journal is read. */
const READ_BATCH = 256;
const READ_MS = 5_000;
const MESSAGE_ID = 'Nats-Msg-Id';

/**
 * Opens the journal of a sweep, with all that stands in it, and makes it when missing.
 * @throws DeepDefenseError SWEEP_OTHER, STORAGE_FAILED (a record is missing or was changed), CONNECT_FAILED, NATS_UNSUPPORTED
 */
export async function openJetStreamJournal<Event extends { readonly type: string }>(
  options: JetStreamJournalOptions,
): Promise<OpenedLog<Event>> {
  const { link, sweepId, definition } = options;
  const names = sweepNames(sweepId);
  const { state } = await ensureStream(link, {
    name: names.journalStream,
    subjects: [names.journal],
    description: describeStream(sweepId, definition),
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    // Nobody shortens it by mistake.
    deny_delete: true,
    deny_purge: true,
  });
  const what = `can't read the journal "${names.journalStream}"`;
  const records = await link.ask(what, () => readRecords<Event>(link, names, state.last_seq));
  const journal = new JetStreamJournal<Event>(options, names, records.at(-1));
  return { journal, records, cut: null };
}

async function readRecords<Event>(link: NatsLink, { journalStream }: SweepNames, last: number): Promise<JournalRecord<Event>[]> {
  const records: JournalRecord<Event>[] = [];
  if (last === 0) return records;
  const consumer = await link.js.consumers.get(journalStream, { deliver_policy: 'all' });
  try {
    while (records.length < last) {
      const before = records.length;
      const batch = await consumer.fetch({ max_messages: Math.min(READ_BATCH, last - before), expires: READ_MS });
      for await (const message of batch) records.push(checked<Event>(journalStream, message.seq, message.string(), records));
      if (records.length === before) throw missing(journalStream, before + 1);
    }
  } finally {
    await consumer.delete().catch(() => {}); // It ends by itself after a while.
  }
  checkJournalFormat(journalStream, records[0]);
  return records;
}

/** The record of a message, if it is the next one in the chain. */
function checked<Event>(stream: string, sequence: number, text: string, before: readonly JournalRecord<Event>[]): JournalRecord<Event> {
  if (sequence !== before.length + 1) throw missing(stream, before.length + 1);
  const body = bodyOf(text.trimEnd());
  const hash = chain(before.at(-1)?.hash ?? GENESIS, body);
  try {
    const record = JSON.parse(text) as JournalRecord<Event>;
    if (record.hash === hash && record.sequence === sequence) return record;
  } catch {
    // No JSON: it isn't one of ours either.
  }
  throw damaged(stream, `message ${sequence} is not what was written: its hash doesn't fit`);
}

const missing = (stream: string, sequence: number) => damaged(stream, `message ${sequence} is missing`);

function damaged(stream: string, got: string): DeepDefenseError {
  return new DeepDefenseError('STORAGE_FAILED', {
    what: `the journal "${stream}" is damaged`,
    got,
    todo: 'restore the stream from a backup, or start the sweep anew under another name',
    fields: { stream },
  });
}

class JetStreamJournal<Event extends { readonly type: string }> implements EventLog<Event> {
  readonly #options: JetStreamJournalOptions;
  readonly #names: SweepNames;
  readonly #clock: Clock;
  #sequence: number;
  #hash: string;
  /** Tells messages of this writer from those of others. */
  readonly #writer = randomUUID();
  /** Appends run one after the other, in the order of the calls. */
  #last: Promise<unknown> = Promise.resolve();
  /** Every later append fails with it. */
  #failure: DeepDefenseError | undefined;

  constructor(options: JetStreamJournalOptions, names: SweepNames, last: JournalRecord<Event> | undefined) {
    this.#options = options;
    this.#names = names;
    this.#clock = options.clock ?? systemClock;
    this.#sequence = last?.sequence ?? 0;
    this.#hash = last?.hash ?? GENESIS;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get hash(): string {
    return this.#hash;
  }

  append(event: Event): Promise<JournalRecord<Event>> {
    const appended = this.#last.then(() => this.#write(event));
    this.#last = appended.catch(() => {});
    return appended;
  }

  /** Every append has been acknowledged; when the server forces it to its disk is the server's setting (see docs/nats.md). */
  async sync(): Promise<void> {
    await this.#last;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async close(): Promise<void> {
    await this.#last;
  }

  async #write(event: Event): Promise<JournalRecord<Event>> {
    if (this.#failure !== undefined) throw this.#failure;
    const { link, metrics } = this.#options;
    const sequence = this.#sequence + 1;
    const at = new Date(this.#clock.nowMs()).toISOString();
    const body = JSON.stringify({ sequence, at, event });
    const hash = chain(this.#hash, body);
    const line = sealed(body, hash);
    const bytes = Buffer.byteLength(line);
    const { journalStream } = this.#names;
    if (bytes > link.mostBytes) throw tooLarge(`an event "${event.type}" for the journal "${journalStream}"`, bytes, link.mostBytes);
    const what = `can't append to the journal "${journalStream}"`;
    try {
      await timedSync(metrics, () => link.ask(what, () => this.#publish(line, sequence)));
    } catch (cause) {
      this.#failure = natsError(what, link.servers, cause);
      throw this.#failure;
    }
    this.#sequence = sequence;
    this.#hash = hash;
    countLine(metrics, line, sequence);
    return { sequence, at, event, hash };
  }

  /** May be called again for the same line, when it isn't known what became of it. */
  async #publish(line: string, sequence: number): Promise<void> {
    const { link } = this.#options;
    const { journal, journalStream } = this.#names;
    try {
      await link.js.publish(journal, line, { expect: { lastSequence: sequence - 1 }, msgID: `${this.#writer}.${sequence}` });
    } catch (error) {
      if (!isConflict(error)) throw error;
      const there = await link.jsm.streams.getMessage(journalStream, { seq: sequence });
      // Its acknowledgement was lost. Another writer's line may be the same.
      if (there?.string() === line && there.header.get(MESSAGE_ID) === `${this.#writer}.${sequence}`) return;
      throw new DeepDefenseError('JOURNAL_FENCED', {
        what: `another process writes the journal "${journalStream}"`,
        expected: `to write its message ${sequence}`,
        got: there === null ? 'a journal that ends before it' : `a message ${sequence} of another process`,
        todo: 'leave the sweep to the other coordinator; this one must end',
        fields: { stream: journalStream, sequence },
        cause: error,
      });
    }
  }
}
