/** @file What the parts of a sweep's coordinator share. */
import type { Clock } from '../core/index.ts';
import type { SweepStarted } from '../journal/index.ts';
import type { Logger } from '../telemetry/index.ts';
import type { EventChannel } from './event-channel.ts';
import type { MeasurementSpans } from './measurement-spans.ts';
import type { SweepBackend } from './sweep-backend.ts';
import type { SweepEta } from './sweep-eta.ts';
import type { SweepObserver } from './sweep-observer.ts';
import type { SweepProgress } from './sweep-progress.ts';
import type { SweepState } from './sweep-state.ts';
import type { SweepStatus } from './sweep-status.ts';

/** A sweep that its coordinator has opened. */
export interface OpenedSweep {
  readonly backend: SweepBackend;
  readonly state: SweepState;
  readonly started: SweepStarted;
  readonly startedAt: string;
  /** Closed with the sweep. */
  readonly status: SweepStatus;
}

export interface SweepContext extends OpenedSweep {
  /** Of the sweep. */
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Progress for one watcher. */
  readonly channel: EventChannel<SweepProgress>;
  readonly eta: SweepEta;
  readonly observer: SweepObserver;
  readonly spans: MeasurementSpans;
  /** What operators and the end of the sweep change. */
  readonly standing: { paused: boolean; priority: number; over: boolean };
}
