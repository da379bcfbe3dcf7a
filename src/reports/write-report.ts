/** @file Run folders in, one HTML file out. */
import { DeepDefenseError, writeFileAtomic } from '../core/index.ts';
import { htmlReport } from './html-report.ts';
import { readRuns } from './read-run.ts';

/**
 * Writes the report of one or several runs to `outFile`, atomically: readers see the old file or the whole new one.
 * The order of folders is the order of rows and colours.
 * @throws DeepDefenseError USAGE for no folder or one that isn't a run folder; STORAGE_FAILED when writing fails.
 */
export async function writeReport(runFolders: readonly string[], outFile: string): Promise<void> {
  if (runFolders.length === 0) throw new DeepDefenseError('USAGE', { what: 'a report needs at least one run folder' });
  await writeFileAtomic(outFile, htmlReport(await readRuns(runFolders)));
}
