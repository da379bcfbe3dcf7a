/** @file A sweep as a table for other programs (RFC 4180): one row per measurement. */
import type { SweepRecord } from '../../sweeps/index.ts';
import { csvText } from '../evaluation/csv-text.ts';

/**
 * Columns are prefixed where their names come from the sweep, since those may be equal: `objective.`, `parameter.`, `detail.`. Cells are
 * empty where there is nothing: values of a failed trial, parameters that a condition leaves out, the
 * parent of a candidate that is no fork. A candidate without measurements has no row.
 */
export function sweepCsv({ sweepId, objectives, parameters, candidates, rungs }: SweepRecord): string {
  const measurements = candidates.flatMap((candidate) => candidate.measurements.map((measurement) => ({ candidate, measurement })));
  const details = [...new Set(measurements.flatMap(({ measurement }) => Object.keys(measurement.details)))].sort();
  const head = [
    ...['sweep', 'candidate', 'state', 'parent', 'parent_rung', 'seed', 'rung', 'epochs', 'attacks'],
    ...objectives.map(({ name }) => `objective.${name}`),
    ...parameters.map(({ name }) => `parameter.${name}`),
    ...details.map((name) => `detail.${name}`),
    ...['flags', 'seconds', 'worker', 'error_code', 'error_message'],
  ];
  const rows = measurements.map(({ candidate, measurement }): (string | number)[] => {
    const { seed, rung, epochs, values, flags, seconds, worker, error } = measurement;
    return [
      sweepId,
      candidate.candidate,
      candidate.state,
      candidate.parent?.candidate ?? '',
      candidate.parent?.rung ?? '',
      seed,
      rung,
      epochs,
      rungs[rung]?.attacks.join(' ') ?? '',
      ...objectives.map((_, index) => values?.[index] ?? ''),
      ...parameters.map(({ name }) => cell(candidate.parameters[name])),
      ...details.map((name) => measurement.details[name] ?? ''),
      flags.join('; '),
      seconds,
      worker,
      error?.code ?? '',
      error?.message ?? '',
    ];
  });
  return csvText([head, ...rows]);
}

function cell(value: SweepRecord['candidates'][number]['parameters'][string] | undefined): string | number {
  if (value === undefined) return '';
  if (typeof value === 'number') return value;
  return typeof value === 'object' ? value.join(' ') : String(value);
}
