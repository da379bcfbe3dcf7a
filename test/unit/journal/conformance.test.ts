import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { FileJournal, openJetStreamJournal, openNatsLink, sweepNames } from '../../../src/journal/index.ts';
import { systemDisk } from '../../../src/journal/journal-disk.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { type JournalPlace, journalConformance, type NoteEvent } from './conformance.ts';

let server: NatsServer;
beforeAll(async () => {
  if (NATS_SERVER !== undefined) server = await startNatsServer();
});
afterAll(() => server?.close());

journalConformance('journal in a file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'journal-'));
  let isFull = false;
  const disk: typeof systemDisk = {
    ...systemDisk,
    openForAppend: async (path) => {
      const file = await systemDisk.openForAppend(path);
      return {
        appendFile: async (text) => {
          // A part of the line gets through.
          await file.appendFile(isFull ? text.slice(0, 20) : text);
          if (isFull) throw new Error('ENOSPC: no space left on device');
        },
        datasync: () => file.datasync(),
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  };
  const place: JournalPlace = {
    open: () => FileJournal.open<NoteEvent>(join(folder, 'journal.jsonl'), { fsync: 'never', disk }),
    fill: async () => {
      isFull = true;
    },
    empty: async () => {
      isFull = false;
    },
    tooLarge: 64 * 2 ** 20,
    fences: false,
    close: () => rm(folder, { recursive: true }),
  };
  return place;
});

let sweeps = 0;
journalConformance(
  `journal on JetStream${NATS_SKIPPED}`,
  async () => {
    const sweepId = `journal-${++sweeps}`;
    const link = await openNatsLink({ servers: server.url, patienceMs: 2_000 });
    const { journalStream } = sweepNames(sweepId);
    const limit = (max_bytes: number) => link.jsm.streams.update(journalStream, { max_bytes });
    return {
      open: () => openJetStreamJournal<NoteEvent>({ link, sweepId, definition: 'd' }),
      // Below what is there the server would delete.
      fill: async () => void (await limit((await link.jsm.streams.info(journalStream)).state.bytes)),
      empty: async () => void (await limit(-1)),
      tooLarge: 2 ** 20,
      fences: true,
      close: () => link.close(),
    };
  },
  NATS_SERVER === undefined,
);
