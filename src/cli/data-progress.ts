/** @file Progress of opening a dataset, as lines for people. */
import type { DataProgress } from '../data/index.ts';
import type { CommandContext } from './context.ts';

/** Prints each phase once, and a download every 10 %. */
export function dataProgressPrinter(context: CommandContext): (progress: DataProgress) => void {
  let last = '';
  return (progress) => {
    const line = describe(progress);
    if (line !== last) context.notice(line);
    last = line;
  };
}

function describe(progress: DataProgress): string {
  if (progress.phase !== 'downloading') return `${progress.phase} ${progress.path}`;
  const { receivedBytes, totalBytes, url } = progress;
  if (totalBytes === undefined || totalBytes === 0) return `downloading ${url}`;
  const tenths = Math.floor((receivedBytes / totalBytes) * 10);
  return `downloading ${url}: ${tenths * 10} % of ${(totalBytes / 1e6).toFixed(0)} MB`;
}
