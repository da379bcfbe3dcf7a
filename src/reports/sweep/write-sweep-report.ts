/** @file A sweep's record in, its files for people and for other programs out. */
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/index.ts';
import type { SweepRecord } from '../../sweeps/index.ts';
import { analyseSweep, type SweepReportOptions } from './sweep-analysis.ts';
import { sweepCsv } from './sweep-csv.ts';
import { sweepPage } from './sweep-page.ts';

export const SWEEP_PAGE = 'sweep.html';
export const MEASUREMENT_TABLE = 'sweep.csv';

/**
 * Writes sweep.html and sweep.csv, each atomically.
 * @returns the paths of the files
 * @throws DeepDefenseError USAGE for a baseline that the sweep doesn't have; STORAGE_FAILED
 */
export async function writeSweepReport(record: SweepRecord, folder: string, options: SweepReportOptions = {}): Promise<readonly string[]> {
  const files = [
    [SWEEP_PAGE, sweepPage(analyseSweep(record, options))],
    [MEASUREMENT_TABLE, sweepCsv(record)],
  ] as const;
  for (const [name, content] of files) await writeFileAtomic(join(folder, name), content);
  return files.map(([name]) => join(folder, name));
}
