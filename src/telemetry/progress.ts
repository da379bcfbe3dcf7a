/** @file Progress of a run: a bar on a terminal, plain lines elsewhere, or nothing. */
import type { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import { type Clock, systemClock } from '../core/index.ts';

/** GFA of one layer in one step. */
export interface GfaProgress {
  readonly layer: string;
  /** Penalty before its weight. */
  readonly term: number;
  /** Mean cosine, -1..1. */
  readonly cosine: number;
}

/** What a committed step says. */
export interface StepProgress {
  /** Committed steps, this one included. */
  readonly step: number;
  /** Passes over the training set so far, with fraction. */
  readonly epoch: number;
  readonly loss: number;
  /** Share of the batch that was right, 0..1. */
  readonly accuracy?: number;
  readonly samplesPerSecond: number;
  /** Empty without GFA. */
  readonly gfa: readonly GfaProgress[];
}

export interface ProgressStart {
  /** Name of what runs, e.g. the strategy. */
  readonly label: string;
  readonly totalSteps: number;
  /** Steps committed before, on resume; default 0. */
  readonly firstStep?: number;
}

/** Takes progress of one run after the other. Calls outside start..stop are ignored, except `note`. */
export interface ProgressSink {
  start(start: ProgressStart): void;
  step(progress: StepProgress): void;
  /** One line that stays, e.g. the outcome of an evaluation. */
  note(text: string): void;
  stop(): void;
  /** Where a logger may write without breaking the bar. */
  readonly log: { write(text: string): void };
}

export interface ProgressOptions {
  /** Default stderr. */
  readonly stream?: Writable & { readonly isTTY?: boolean };
  /** Bar or lines; default: whether the stream is a terminal. */
  readonly terminal?: boolean;
  /** Without a terminal a line at most every so many seconds; default 10. The first and the last step are always printed. */
  readonly lineEverySeconds?: number;
  readonly clock?: Clock;
}

/** A progress display on a stream: a bar when it is a terminal, else plain lines. */
export function createProgress({
  stream = process.stderr,
  terminal = stream.isTTY === true,
  lineEverySeconds = 10,
  clock = systemClock,
}: ProgressOptions = {}): ProgressSink {
  return terminal ? new BarProgress(stream, clock) : new LineProgress(stream, lineEverySeconds * 1000, clock);
}

/** Shows nothing; its `log` writes to stderr. */
export function silentProgress(): ProgressSink {
  return { start: () => {}, step: () => {}, note: () => {}, stop: () => {}, log: process.stderr };
}

/** Seconds to go, from the steps since start; null before the first one. Resumed steps don't count as fast ones. */
class Eta {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  readonly #firstStep: number;
  readonly #totalSteps: number;

  constructor({ totalSteps, firstStep = 0 }: ProgressStart, clock: Clock) {
    this.#clock = clock;
    this.#startedAtMs = clock.nowMs();
    this.#firstStep = firstStep;
    this.#totalSteps = totalSteps;
  }

  secondsLeft(step: number): number | null {
    const done = step - this.#firstStep;
    if (done <= 0) return null;
    return ((this.#clock.nowMs() - this.#startedAtMs) / 1000 / done) * (this.#totalSteps - step);
  }
}

/** A bar on a terminal; lines of the log appear above it. */
class BarProgress implements ProgressSink {
  readonly #stream: Writable;
  readonly #clock: Clock;
  readonly log = { write: (text: string) => this.#above(text) };
  #bar: SingleBar | undefined;
  #eta: Eta | undefined;

  constructor(stream: Writable, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
  }

  start(start: ProgressStart): void {
    this.stop();
    this.#eta = new Eta(start, this.#clock);
    this.#bar = new SingleBar({
      format: `${start.label} {bar} {value}/{total} {detail}`,
      stream: this.#stream,
      barsize: 20,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      hideCursor: true,
      fps: 5,
      forceRedraw: true,
      // Ctrl-C is handled by the command, which finishes the step first.
      gracefulExit: false,
    });
    this.#bar.start(start.totalSteps, start.firstStep ?? 0, { detail: 'waiting for the first step' });
  }

  step(progress: StepProgress): void {
    this.#bar?.update(progress.step, { detail: describe(progress, this.#eta?.secondsLeft(progress.step) ?? null) });
  }

  note(text: string): void {
    this.#above(`${text}\n`);
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#eta = undefined;
  }

  #above(text: string): void {
    // Clears the bar's line; the bar draws itself again below the text at its next tick.
    if (this.#bar !== undefined) this.#stream.write('\r\u001b[2K');
    this.#stream.write(text);
  }
}

/** Plain lines, not more often than the interval. */
class LineProgress implements ProgressSink {
  readonly #stream: Writable;
  readonly #everyMs: number;
  readonly #clock: Clock;
  readonly log: { write(text: string): void };
  #start: ProgressStart | undefined;
  #eta: Eta | undefined;
  #printedAtMs = Number.NEGATIVE_INFINITY;

  constructor(stream: Writable, everyMs: number, clock: Clock) {
    this.#stream = stream;
    this.#everyMs = everyMs;
    this.#clock = clock;
    this.log = { write: (text) => void stream.write(text) };
  }

  start(start: ProgressStart): void {
    this.#start = start;
    this.#eta = new Eta(start, this.#clock);
    this.#printedAtMs = Number.NEGATIVE_INFINITY;
  }

  step(progress: StepProgress): void {
    if (this.#start === undefined) return;
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#printedAtMs < this.#everyMs && progress.step < this.#start.totalSteps) return;
    this.#printedAtMs = nowMs;
    const { label, totalSteps } = this.#start;
    this.#stream.write(
      `${label} step ${progress.step}/${totalSteps} ${describe(progress, this.#eta?.secondsLeft(progress.step) ?? null)}\n`,
    );
  }

  note(text: string): void {
    this.#stream.write(`${text}\n`);
  }

  stop(): void {
    this.#start = undefined;
    this.#eta = undefined;
  }
}

/** `epoch 1.25 | 512 samples/s | loss 1.234 | acc 45.1 % | gfa conv1 0.123 (c -0.20) | 2m05s left`. */
function describe({ epoch, loss, accuracy, samplesPerSecond, gfa }: StepProgress, secondsLeft: number | null): string {
  const parts = [`epoch ${epoch.toFixed(2)}`, `${samplesPerSecond.toFixed(0)} samples/s`, `loss ${loss.toPrecision(4)}`];
  if (accuracy !== undefined) parts.push(`acc ${(accuracy * 100).toFixed(1)} %`);
  if (gfa.length > 0)
    parts.push(`gfa ${gfa.map(({ layer, term, cosine }) => `${layer} ${term.toPrecision(3)} (c ${cosine.toFixed(2)})`).join(' ')}`);
  if (secondsLeft !== null) parts.push(`${duration(secondsLeft)} left`);
  return parts.join(' | ');
}

/** `45s`, `2m05s`, `3h07m`. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
}
