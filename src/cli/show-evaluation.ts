/** @file Turns the events of an evaluation into what a person watches. */
import { formatAttackSpec, type AttackSpec, formatEps } from '../config/index.ts';
import type { EvaluationEvent } from '../coordinator/index.ts';

/** Lines of progress come at most so often. */
const LINE_EVERY_MS = 5000;

export interface ShownEvaluation {
  readonly labels: readonly string[];
  readonly attacks: readonly AttackSpec[];
  readonly note: (text: string) => void;
  /** Monotonic milliseconds; for tests. */
  readonly nowMs?: () => number;
}

/** Shows events until there are no more. */
export async function showEvaluation(events: AsyncIterable<EvaluationEvent>, options: ShownEvaluation): Promise<void> {
  const { labels, attacks, note, nowMs = () => performance.now() } = options;
  let startedAtMs = nowMs();
  let shownAtMs = Number.NEGATIVE_INFINITY;
  for await (const event of events) {
    switch (event.kind) {
      case 'worker':
        note(`worker ${event.workerId} ${event.change}${event.detail === '' ? '' : ` (${event.detail})`}; ${event.ready} ready`);
        break;
      case 'waiting': // The coordinator warns of it in its log.
        break;
      case 'started': {
        startedAtMs = nowMs();
        const before = event.finishedBefore > 0 ? `, ${event.finishedBefore} of them done before` : '';
        note(`${event.images} images in ${event.units} tasks${before}`);
        break;
      }
      case 'progress': {
        const now = nowMs();
        if (now - shownAtMs < LINE_EVERY_MS && event.finished < event.units) break;
        shownAtMs = now;
        note(describeProgress(event, (now - startedAtMs) / 1000));
        break;
      }
      case 'pass': {
        const { network, attack, eps } = event.pass;
        const spec = attacks[attack];
        const what = spec === undefined ? 'clean' : `${formatAttackSpec(spec)}${eps === null ? '' : ` at ${formatEps(eps)}`}`;
        note(`${labels[network]}: ${what}: ${(event.accuracy * 100).toFixed(1)} % of ${event.images} images correct`);
        break;
      }
      default:
        event satisfies never;
    }
  }
}

/** Less of the work says nothing of how long the rest will take. */
const LEAST_SHARE = 0.01;

/**
 * `task 12/60 | 21 % of the work | 35.2 images/s | at most 3m20s left`: the work is counted as if every image withstood, and attacks are done
 * sooner with those that don't.
 */
export function describeProgress(
  { finished, units, share, shareBefore, images }: Extract<EvaluationEvent, { kind: 'progress' }>,
  seconds: number,
): string {
  const rate = images / Math.max(seconds, 1e-3);
  const left = (seconds * (1 - share)) / (share - shareBefore);
  const ahead = share - shareBefore < LEAST_SHARE ? '' : ` | at most ${duration(left)} left`;
  return `task ${finished}/${units} | ${Math.floor(share * 100)} % of the work | ${rate.toPrecision(3)} images/s${ahead}`;
}

/** `45s`, `2m05s`, `3h07m`. */
function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${pad(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${pad(Math.floor((whole % 3600) / 60))}m`;
}
