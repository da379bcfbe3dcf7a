/** @file The files that `evaluate` leaves behind. */
import { join } from 'node:path';
import type { EvaluationRecord } from '../config/index.ts';
import { writeFileAtomic } from '../core/index.ts';
import { writeEvaluationReport } from '../reports/index.ts';

export const RECORD_FILE = 'evaluation.json';

/**
 * Writes the record, its page and its tables into the folder.
 * @returns the file of the record
 * @throws DeepDefenseError STORAGE_FAILED
 */
export async function writeEvaluation(record: EvaluationRecord, folder: string): Promise<string> {
  const file = join(folder, RECORD_FILE);
  await writeFileAtomic(file, `${JSON.stringify(record)}\n`);
  await writeEvaluationReport(record, folder);
  return file;
}
