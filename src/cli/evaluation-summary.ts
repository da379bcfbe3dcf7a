/** @file What `evaluate` leaves behind and prints: the one place that turns a record into files and text. */
import { join } from 'node:path';
import Table from 'cli-table3';
import { formatAttackSpec, formatEps } from '../config/index.ts';
import { writeFileAtomic } from '../core/index.ts';
import type { EvaluationRecord } from '../evaluation/index.ts';

export const RECORD_FILE = 'evaluation.json';

/**
 * Writes the record into the folder.
 * @returns the file
 * @throws DeepDefenseError STORAGE_FAILED
 */
export async function writeEvaluation(record: EvaluationRecord, folder: string): Promise<string> {
  const file = join(folder, RECORD_FILE);
  await writeFileAtomic(file, `${JSON.stringify(record)}\n`);
  return file;
}

/** A row per attack and radius, a column per network: share of images that are correct before and after. */
export function summariseEvaluation({ models, attacks, results, images, onlyCorrectByAll }: EvaluationRecord): string {
  const table = new Table({
    head: ['attack', 'eps', ...models.map(({ label }) => label)],
    colAligns: ['left', 'right', ...models.map(() => 'right' as const)],
    style: { head: [], border: [] },
  });
  const rows = new Map(results.map(({ attack, eps }) => [`${attack}/${eps}`, { attack, eps }]));
  for (const { attack, eps } of rows.values()) {
    const spec = attacks[attack];
    const cells = models.map((_, model) => {
      const result = results.find((one) => one.model === model && one.attack === attack && one.eps === eps);
      return result === undefined ? '-' : percentage(result.correct);
    });
    table.push([spec === undefined ? 'clean' : formatAttackSpec(spec), eps === null ? '' : formatEps(eps), ...cells]);
  }
  const which = onlyCorrectByAll ? ', those that all networks classify correctly' : '';
  return `${table.toString()}\n${images.index.length} test images${which}`;
}

function percentage(correct: string): string {
  return `${((100 * correct.replaceAll('0', '').length) / correct.length).toFixed(1)} %`;
}
