/** @file Refuses journals of later versions, by the number in their first event. */
import { checkFormat, RUN_FORMAT, SWEEP_FORMAT } from '../core/index.ts';

const KNOWN: Readonly<Record<string, number>> = { 'run-started': RUN_FORMAT, 'sweep-started': SWEEP_FORMAT };

/**
 * @param name for the message
 * @throws DeepDefenseError FORMAT_NEWER
 */
export function checkJournalFormat(name: string, first: { readonly event: unknown } | undefined): void {
  const { type, format = 1 } = (first?.event ?? {}) as { readonly type?: string; readonly format?: number };
  const known = KNOWN[type ?? ''];
  if (known !== undefined) checkFormat(`the journal "${name}"`, format, known);
}
