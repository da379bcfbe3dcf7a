/** @file A sweep as a terminal shows it: the front first, then what limits it, then the other candidates. */
import Table from 'cli-table3';
import type { SweepRecord } from '../../sweeps/index.ts';
import { pText } from '../evaluation/cells.ts';
import { type CandidateResult, finalResult } from './candidate-result.ts';
import { pairCaution } from './comparison-sections.ts';
import { frontSentence } from './front-section.ts';
import { type PairedComparison } from './paired-seeds.ts';
import { stateCounts, workerHours } from './setup-section.ts';
import { analyseSweep, type SweepReportOptions } from './sweep-analysis.ts';
import { differenceText, estimateText, intervalText, objectiveTitle, parameterWriter } from './sweep-text.ts';

/** More rows of candidates that aren't on the front are left to the report. */
const MOST_ROWS = 30;

/**
 * No colours; the caller prints it.
 * @param options `frontOnly` leaves out the other candidates
 * @throws DeepDefenseError USAGE for a baseline that the sweep doesn't have
 */
export function formatSweep(record: SweepRecord, options: SweepReportOptions & { readonly frontOnly?: boolean } = {}): string {
  const { pareto, warnings, paired } = analyseSweep(record, options);
  const front = pareto?.front ?? [];
  const names = new Set(front.map(({ candidate }) => candidate.candidate));
  const others = (options.frontOnly === true ? [] : record.candidates)
    .filter(({ candidate }) => !names.has(candidate))
    .map((candidate) => ({ candidate, result: finalResult(record, candidate) }));
  const hidden = others.length - MOST_ROWS;
  return [
    `${record.sweepId}: ${record.state}; candidates: ${stateCounts(record)}; ${workerHours(record)}`,
    pareto === undefined ? '' : `${record.objectives.length === 1 ? 'BEST' : 'PARETO FRONT'}: ${frontSentence(record, pareto)}`,
    front.length === 0
      ? ''
      : resultTable(
          record,
          front.map((result) => ({ candidate: result.candidate, result })),
        ),
    ...warnings.map(({ level, text }) => `${level === 'alarm' ? 'ALARM' : 'note'}: ${text}`),
    paired === undefined ? '' : pairedLines(record, paired),
    others.length === 0 ? '' : "other candidates, each on its highest rung; rows of different rungs can't be compared",
    others.length === 0 ? '' : resultTable(record, others.slice(0, MOST_ROWS)),
    hidden > 0 ? `and ${hidden} more; the report has all` : '',
    'mean over seeds, in brackets the 95 % t interval, n = seeds',
  ]
    .filter((part) => part !== '')
    .join('\n');
}

interface Row {
  readonly candidate: SweepRecord['candidates'][number];
  readonly result: CandidateResult | undefined;
}

function resultTable(record: SweepRecord, rows: readonly Row[]): string {
  const head = ['#', 'state', 'rung', ...record.objectives.map(objectiveTitle), 'parameters'];
  const table = new Table({
    head,
    colAligns: head.map((_, column) => (column === 0 || (column > 1 && column < head.length - 1) ? 'right' : 'left')),
    colWidths: head.map((_, column) => (column === head.length - 1 ? PARAMETER_WIDTH : null)),
    wordWrap: true,
    style: { head: [], border: [] },
  });
  const write = parameterWriter(record);
  for (const { candidate, result } of rows)
    table.push([
      String(candidate.candidate),
      candidate.parent === undefined
        ? candidate.state
        : `${candidate.state}\nfork of #${candidate.parent.candidate} on rung ${candidate.parent.rung}`,
      result === undefined ? '-' : String(result.rung),
      ...record.objectives.map((objective, index) => {
        const estimate = result?.estimates[index];
        if (estimate === undefined) return '-';
        const { value } = estimateText(objective, estimate);
        return estimate.interval === undefined
          ? `${value}\nn = ${estimate.n}`
          : `${value} [${intervalText(objective, estimate.interval)}]\nn = ${estimate.n}`;
      }),
      write(candidate),
    ]);
  return table.toString();
}

const PARAMETER_WIDTH = 60;

function pairedLines({ objectives }: SweepRecord, paired: PairedComparison): string {
  const lines = paired.differences.flatMap(({ candidate, objective, rung, difference, p, adjusted }) => {
    const own = objectives[objective];
    if (own === undefined) return [];
    const range = difference.interval === undefined ? 'no interval' : `[${intervalText(own, difference.interval)}]`;
    return [
      `  #${candidate.candidate} ${own.name}: ${differenceText(own, difference.mean)} ${range}, n = ${difference.n} on rung ${rung}, p = ${pText(p)}, adjusted ${pText(adjusted)}`,
    ];
  });
  const caution = pairCaution(paired);
  return [`against candidate #${paired.baseline.candidate}, seed by seed:`, ...lines, ...(caution === '' ? [] : [`  ${caution}`])].join(
    '\n',
  );
}
