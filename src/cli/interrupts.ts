/** @file Ctrl-C and SIGTERM: once asks for a clean stop, twice ends at once. */
import { EXIT_CODES } from '../core/index.ts';

/** Handlers of {@link onInterrupt}. */
export interface InterruptHandlers {
  /** First signal: start a clean stop. */
  readonly stop: () => void;
  /** Second signal, right before the process exits: end children, synchronously. */
  readonly abandon: () => void;
}

/** Installs the handlers; the returned function removes them. `signal()` is the first signal that has come. */
export function onInterrupt(
  { stop, abandon }: InterruptHandlers,
  exit: (code: number) => void = (code) => process.exit(code),
): {
  readonly signal: () => NodeJS.Signals | undefined;
  readonly remove: () => void;
} {
  let count = 0;
  let first: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    count += 1;
    first ??= signal;
    if (count === 1) stop();
    else {
      abandon();
      exit(EXIT_CODES.INTERRUPTED);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: () => first,
    remove: () => {
      process.removeListener('SIGINT', onSignal);
      process.removeListener('SIGTERM', onSignal);
    },
  };
}
