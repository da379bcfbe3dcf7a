/** @file Turns the events of a sweep into what a person watches, and its figures into text. */
import type { SweepProgress } from '../../coordinator/index.ts';
import type { ObjectiveRecord } from '../../sweeps/index.ts';

export interface ShownSweep {
  readonly objectives: readonly ObjectiveRecord[];
  /** Expected seconds to go, from the work that is done and the work that is left; undefined before there is a rate. */
  readonly secondsLeft: () => number | undefined;
  readonly note: (text: string) => void;
}

/** Shows events until there are no more. */
export async function showSweep(events: AsyncIterable<SweepProgress>, { objectives, secondsLeft, note }: ShownSweep): Promise<void> {
  for await (const event of events) {
    switch (event.kind) {
      case 'chosen':
        break;
      case 'measured': {
        const { candidate, seed, rung, values, error, seconds, measurements, candidates, budget } = event;
        const figures = values === null ? `failed (${error?.code ?? ''})` : describeValues(values, objectives);
        const left = secondsLeft();
        const ahead = left === undefined ? '' : ` | about ${duration(left)} left`;
        note(
          `candidate ${candidate} seed ${seed} rung ${rung}: ${figures} in ${duration(seconds)} | ${measurements} measurements, ${candidates} of ${budget} candidates${ahead}`,
        );
        break;
      }
      case 'worker-lost':
        note(`worker ${event.worker} fell silent; its task ${event.task} is due again`);
        break;
      case 'controlled':
        note(`asked to ${event.action}`);
        break;
      default:
        event satisfies never;
    }
  }
}

/** `clean-accuracy 45.2 %, training-cost 0.5 million passes`. */
export function describeValues(values: readonly number[], objectives: readonly ObjectiveRecord[]): string {
  return objectives.map((objective, i) => `${objective.name} ${describeValue(values[i] as number, objective)}`).join(', ');
}

function describeValue(value: number, { unit }: ObjectiveRecord): string {
  if (unit === 'share') return `${(value * 100).toFixed(1)} %`;
  return `${Number(value.toPrecision(4))}${unit === '' ? '' : ` ${unit}`}`;
}

/** `4.2s`, `45s`, `2m05s`, `3h07m`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${pad(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${pad(Math.floor((whole % 3600) / 60))}m`;
}
