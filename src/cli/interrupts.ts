/** @file Ctrl-C: once asks for a clean stop, twice ends at once. SIGTERM counts like Ctrl-C. */
import { EXIT_CODES } from '../core/index.ts';

/** Handlers of {@link onInterrupt}. */
export interface InterruptHandlers {
  /** First signal: start a clean stop. */
  readonly stop: () => void;
  /** Second signal, right before the process exits: end children, synchronously. */
  readonly abandon: () => void;
}

/** Installs the handlers; the returned function removes them. `interrupted()` says whether a signal has come. */
export function onInterrupt(
  { stop, abandon }: InterruptHandlers,
  exit: (code: number) => void = (code) => process.exit(code),
): {
  readonly interrupted: () => boolean;
  readonly remove: () => void;
} {
  let count = 0;
  const onSignal = (): void => {
    count += 1;
    if (count === 1) stop();
    else {
      abandon();
      exit(EXIT_CODES.INTERRUPTED);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    interrupted: () => count > 0,
    remove: () => {
      process.removeListener('SIGINT', onSignal);
      process.removeListener('SIGTERM', onSignal);
    },
  };
}
