/** @file A sweep by its folder or id: what its journal says, and the coordinator that runs it. */
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type ControlRequest, outcomeOf, SWEEP_ADDRESS, SWEEP_JOURNAL, sweepRecordOf, SweepState } from '../../coordinator/index.ts';
import { DeepDefenseError, isDeepDefenseError } from '../../core/index.ts';
import { type JournalRecord, readJournal, type SweepEvent, type SweepStarted } from '../../journal/index.ts';
import type { TlsFiles } from '../../security/index.ts';
import type { SweepRecord } from '../../sweeps/index.ts';
import { createSweepClient } from '../../wire/index.ts';

/** Folder of sweeps, where the sweep file names no other. */
export const SWEEPS_FOLDER = 'sweeps';
const CALL_MS = 5_000;

/** @throws DeepDefenseError CHECKPOINT_MISSING */
export async function findSweepFolder(sweep: string): Promise<string> {
  for (const folder of [sweep, join(SWEEPS_FOLDER, sweep)]) if (await isFile(join(folder, SWEEP_JOURNAL))) return folder;
  throw new DeepDefenseError('CHECKPOINT_MISSING', {
    what: `there is no sweep "${sweep}"`,
    expected: `a folder with ${SWEEP_JOURNAL}, or the id of a sweep in ${resolve(SWEEPS_FOLDER)}`,
    todo: 'give the path of the sweep folder',
    fields: { sweep },
  });
}

/** A sweep as its journal has it, running or not. */
export async function readSweep(folder: string): Promise<{
  readonly record: SweepRecord;
  readonly state: SweepState;
  readonly started: SweepStarted;
  readonly records: readonly JournalRecord<SweepEvent>[];
}> {
  const { records } = await readJournal<SweepEvent>(join(folder, SWEEP_JOURNAL));
  const { state, started } = SweepState.fromJournal(records);
  const record = sweepRecordOf({
    state,
    started,
    startedAt: records[0]?.at ?? '',
    endedAt: records.at(-1)?.at ?? '',
    outcome: outcomeOf(records, state.paused),
  });
  return { record, state, started, records };
}

/**
 * Asks the coordinator that runs the sweep.
 * @returns its status; undefined when none runs
 * @throws DeepDefenseError that the coordinator answers with
 */
export async function askCoordinator(
  folder: string,
  request: ControlRequest,
  tls: TlsFiles | undefined,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readFile(join(folder, SWEEP_ADDRESS), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { address } = JSON.parse(text) as { readonly address: string };
  const client = createSweepClient(address, tls);
  try {
    const { code, message, status } = await client.call('control', request, CALL_MS);
    if (code !== '') throw new DeepDefenseError(code as 'USAGE', { what: message });
    return JSON.parse(status) as Record<string, unknown>;
  } catch (error) {
    // Left behind by a coordinator that was killed.
    if (isDeepDefenseError(error) && error.code === 'CONNECT_FAILED') return undefined;
    throw error;
  } finally {
    client.close();
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}
