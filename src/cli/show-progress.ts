/** @file Turns the events of a run into what a person watches. */
import type { RunEvent } from '../coordinator/index.ts';
import type { GfaProgress, ProgressSink } from '../telemetry/index.ts';

/** Shows events until the run has no more. Returns early, without an error, when the sink is silent. */
export async function showProgress(events: AsyncIterable<RunEvent>, sink: ProgressSink, label: string): Promise<void> {
  for await (const event of events) showEvent(event, sink, label);
  sink.stop();
}

function showEvent(event: RunEvent, sink: ProgressSink, label: string): void {
  switch (event.kind) {
    case 'started':
      sink.note(
        `${event.runId}: ${event.totalSteps} steps, folder ${event.runFolder}${event.firstStep > 0 ? `, resumed after step ${event.firstStep}` : ''}`,
      );
      sink.start({ label, totalSteps: event.totalSteps, firstStep: event.firstStep });
      return;
    case 'worker':
      sink.note(`worker ${event.workerId} ${event.change}${event.detail === '' ? '' : ` (${event.detail})`}; ${event.ready} ready`);
      return;
    case 'step': {
      const { step, epoch, loss, samplesPerSecond, metrics } = event;
      const { accuracy } = metrics;
      sink.step({ step, epoch, loss, samplesPerSecond, ...(accuracy === undefined ? {} : { accuracy }), gfa: gfaOf(metrics) });
      return;
    }
    case 'evaluation':
      sink.note(
        `step ${event.step}: ${describeAttack(event.attack, event.epsLinf)} ${(event.accuracy * 100).toFixed(2)} % of ${event.samples} test images`,
      );
      return;
    case 'finished':
      sink.stop();
      sink.note(`${event.state}${event.reason === '' ? '' : `: ${event.reason}`}`);
      return;
    case 'waiting': // The coordinator warns of it in its log.
    case 'checkpoint':
    case 'evaluation-progress':
      return;
    default:
      event satisfies never;
  }
}

/** `gfa/<layer>/term` and `gfa/<layer>/cosine` of each layer, in the order of the metrics. */
export function gfaOf(metrics: Readonly<Record<string, number>>): GfaProgress[] {
  return Object.entries(metrics).flatMap(([name, term]) => {
    const layer = /^gfa\/(.+)\/term$/.exec(name)?.[1];
    return layer === undefined ? [] : [{ layer, term, cosine: metrics[`gfa/${layer}/cosine`] ?? Number.NaN }];
  });
}

/** `clean accuracy`, `fgsm at 2/255`. */
export function describeAttack(attack: string, epsLinf: number): string {
  if (attack === 'clean') return 'clean accuracy';
  const pixels = epsLinf * 255;
  const whole = Math.abs(pixels - Math.round(pixels)) < 1e-6;
  return `accuracy under ${attack} at ${whole ? `${Math.round(pixels)}/255` : epsLinf.toPrecision(4)}`;
}
