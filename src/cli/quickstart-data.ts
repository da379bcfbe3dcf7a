/** @file The data of the quick start: CIFAR-10 if it can be had soon, else, said plainly, the built-in synthetic set. */
import { isDeepDefenseError } from '../core/index.ts';
import { type OpenedDataset, openDatasetWithOrigin } from '../data/index.ts';
import type { CommandContext } from './context.ts';
import { dataProgressPrinter } from './data-progress.ts';
import { QUICKSTART_DOWNLOAD_LIMIT_MS } from './quickstart-sizes.ts';

/** A dataset and the `data.source` that stands for it. */
export interface QuickstartData extends OpenedDataset {
  readonly source: 'cifar10' | 'synthetic';
  /** Why it isn't CIFAR-10. */
  readonly notice?: string;
}

/**
 * `path`, else DEEPDEFENSE_DATA, else the cache, else a short download, else the synthetic set. Data that the user named must be good:
 * there is no fall-back from it.
 * @throws DeepDefenseError DATA_* for data at `path` or DEEPDEFENSE_DATA.
 */
export async function openQuickstartData(path: string | undefined, context: CommandContext): Promise<QuickstartData> {
  const onProgress = dataProgressPrinter(context);
  const named = path !== undefined || Boolean(process.env.DEEPDEFENSE_DATA);
  try {
    const opened = await openDatasetWithOrigin({
      source: 'cifar10',
      path,
      download: !named,
      downloadOptions: { attempts: 2, stallTimeoutMs: 10_000, retryDelayMs: 500 },
      signal: AbortSignal.timeout(QUICKSTART_DOWNLOAD_LIMIT_MS),
      onProgress,
    });
    return { ...opened, source: 'cifar10' };
  } catch (error) {
    if (named || !isDeepDefenseError(error)) throw error;
    const reason =
      error.code === 'INTERRUPTED' ? `the download takes longer than ${QUICKSTART_DOWNLOAD_LIMIT_MS / 1000} s` : error.parts.what;
    const notice =
      `CIFAR-10 is not here (${reason}). This quick start goes on with the built-in SYNTHETIC set: ten classes of drawn shapes. ` +
      'Its accuracies say nothing about CIFAR-10. Use --data PATH, or "deepdefense data get".';
    context.notice(notice);
    return { ...(await openDatasetWithOrigin({ source: 'synthetic' })), source: 'synthetic', notice };
  }
}
