/** @file An evaluation's record in, its files for people and for other programs out. */
import { join } from 'node:path';
import type { EvaluationRecord } from '../../config/index.ts';
import { writeFileAtomic } from '../../core/index.ts';
import { distanceCsv } from './distance-csv.ts';
import { evaluationCsv } from './evaluation-csv.ts';
import { evaluationPage } from './evaluation-page.ts';
import { EvaluationView } from './evaluation-view.ts';

export const EVALUATION_PAGE = 'evaluation.html';
export const ACCURACY_TABLE = 'evaluation.csv';
export const DISTANCE_TABLE = 'evaluation-distances.csv';

/**
 * Writes evaluation.html, evaluation.csv and, when a minimum-norm attack ran, evaluation-distances.csv; each atomically.
 * @returns the paths of the files
 * @throws DeepDefenseError STORAGE_FAILED
 */
export async function writeEvaluationReport(record: EvaluationRecord, folder: string): Promise<readonly string[]> {
  const view = new EvaluationView(record);
  const files: [string, string][] = [
    [EVALUATION_PAGE, evaluationPage(record)],
    [ACCURACY_TABLE, evaluationCsv(record)],
  ];
  if (record.results.some(({ distances }) => distances !== undefined)) files.push([DISTANCE_TABLE, distanceCsv(view)]);
  for (const [name, content] of files) await writeFileAtomic(join(folder, name), content);
  return files.map(([name]) => join(folder, name));
}
