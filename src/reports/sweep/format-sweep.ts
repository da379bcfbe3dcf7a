/** @file A sweep as text for a terminal. */
import type { ObjectiveRecord, ParameterValue, SweepRecord } from '../../sweeps/index.ts';
import { finalCandidates, type FinalCandidate, type FinalFigure } from './final-figures.ts';

/** Lines of a table at most; the rest is in sweep.json. */
const MOST_LINES = 25;

/**
 * State, counts, the Pareto front and the other candidates of the highest rung with their figures, and what is to be kept in mind.
 * @param frontOnly leave the other candidates out
 */
export function formatSweep(record: SweepRecord, frontOnly = false): string {
  const { rung, finals } = finalCandidates(record);
  const counts = new Map<string, number>();
  for (const { state } of record.candidates) counts.set(state, (counts.get(state) ?? 0) + 1);
  const shown = frontOnly ? finals.filter(({ isOnFront }) => isOnFront) : finals;
  const lines = [
    `${record.sweepId}: ${record.state}, ${record.subject}${record.dataset === '' ? '' : `, ${record.dataset}`}`,
    `${record.sampler} with ${record.scheduler}, seed ${record.seed}, ${record.lanes} lanes, ${record.mode}; candidates: ${[...counts].map(([state, count]) => `${count} ${state}`).join(', ')}`,
    ...headline(record, rung, finals),
    ...shown.slice(0, MOST_LINES).map((final) => `  ${describe(final, record.objectives)}`),
  ];
  if (shown.length > MOST_LINES) lines.push(`  and ${shown.length - MOST_LINES} more, see sweep.json`);
  return [...lines, ...remarks(record, finals), `decisions ${record.decisionsSha256}`].join('\n');
}

function headline({ rungs, objectives }: SweepRecord, rung: number, finals: readonly FinalCandidate[]): string[] {
  if (finals.length === 0) return ['no candidate has been measured with all seeds yet'];
  const { epochs = 0, attacks = [] } = rungs[rung] ?? {};
  const under = attacks.length === 0 ? '' : ` under ${attacks.join(', ')}`;
  const front = finals.filter(({ isOnFront }) => isOnFront).length;
  const what = objectives.length > 1 ? `${front} of them on the Pareto front (*)` : 'the best is marked (*)';
  return [`measured after ${epochs} epochs${under}: ${finals.length} candidates, ${what}; mean over seeds ± standard deviation (n)`];
}

function describe(
  { candidate: { candidate, parameters }, figures, n, isOnFront }: FinalCandidate,
  objectives: readonly ObjectiveRecord[],
): string {
  const values = objectives.map((objective, i) => `${objective.name} ${formatFigure(figures[i] as FinalFigure, objective)} (${n})`);
  const drawn = Object.entries(parameters).map(([name, value]) => `${shortName(name)}=${formatParameter(value)}`);
  return `${isOnFront ? '*' : ' '} ${candidate}: ${values.join(', ')} | ${drawn.join(' ')}`;
}

/** `45.2 ± 0.8 %`. */
function formatFigure({ mean, deviation }: FinalFigure, { unit }: ObjectiveRecord): string {
  const show = (value: number) => (unit === 'share' ? (value * 100).toFixed(1) : String(Number(value.toPrecision(4))));
  const spread = deviation === undefined ? '' : ` ± ${show(deviation)}`;
  return `${show(mean)}${spread}${unit === 'share' ? ' %' : unit === '' ? '' : ` ${unit}`}`;
}

function formatParameter(value: ParameterValue): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(3))) : Array.isArray(value) ? value.join('+') : String(value);
}

/** The last parts of a key say enough on a line. */
function shortName(name: string): string {
  return name.split('.').slice(-2).join('.');
}

function remarks({ seeds, candidates, workerSeconds }: SweepRecord, finals: readonly FinalCandidate[]): string[] {
  const flagged = candidates.filter(({ measurements }) => measurements.some(({ flags }) => flags.length > 0));
  const failed = candidates.filter(({ state }) => state === 'failed');
  const lines = [`worker time ${(workerSeconds / 3600).toFixed(2)} hours`];
  if (finals.length > 0 && seeds.length === 1)
    lines.push(
      'one seed each: differences as large as those between seeds mean nothing; sweep again with several seeds before you believe an order',
    );
  if (flagged.length > 0)
    lines.push(`masked gradients are suspected of ${flagged.length} candidates: ${flagged.map(({ candidate }) => candidate).join(', ')}`);
  for (const { candidate, measurements } of failed.slice(0, 5)) {
    const error = measurements.find((each) => each.error !== undefined)?.error;
    lines.push(`candidate ${candidate} failed: ${error?.code ?? ''} ${error?.message.split('\n', 1)[0] ?? ''}`);
  }
  return lines;
}
