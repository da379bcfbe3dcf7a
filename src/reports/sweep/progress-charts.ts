/** @file How a sweep got on: the best value so far, the volume of the front, and how many candidates reached each rung. */
import type { ObjectiveRecord, SweepRecord } from '../../sweeps/index.ts';
import { barChart } from '../bar-chart.ts';
import { type ChartPoint, lineChart } from '../line-chart.ts';
import type { Figure } from '../run-charts.ts';
import { type CandidateResult, completeResults, lossOf, resultOn } from './candidate-result.ts';
import type { ParetoFront } from './pareto-front.ts';
import { objectiveTitle, valueText } from './sweep-text.ts';

/** Per objective the best mean among the candidates up to a number, and the hypervolume of their front. */
export function progressFigures(record: SweepRecord, pareto: ParetoFront): readonly Figure[] {
  return [
    ...record.objectives.map((objective, index) => bestFigure(record, pareto, objective, index)),
    ...hypervolumeFigure(record, pareto),
  ];
}

function bestFigure({ seeds }: SweepRecord, { compared, rung }: ParetoFront, objective: ObjectiveRecord, index: number): Figure {
  const mean = (result: CandidateResult): number => result.estimates[index]?.mean as number;
  let best: CandidateResult | undefined;
  const points = compared.flatMap((result): ChartPoint[] => {
    const { candidate: x } = result.candidate;
    const before = best;
    const improves = best === undefined || lossOf(objective, mean(result)) < lossOf(objective, mean(best));
    if (improves) best = result;
    const interval = improves ? result.estimates[index]?.interval : undefined;
    return [...(before === undefined ? [] : [{ x, y: mean(before) }]), { x, y: mean(best ?? result), ...interval }];
  });
  const found = best === undefined ? '' : ` The last step is candidate #${best.candidate.candidate}.`;
  const bars = seeds.length > 1 ? ' Bars: 95 % t intervals over seeds, where a better one came.' : ' One seed each (n = 1): no intervals.';
  return {
    title: `Best ${objective.name} so far`,
    caption: `Best mean among the candidates complete on rung ${rung}, by number of the candidate.${found}${bars} The best of many is flattered by chance.`,
    svg: lineChart([{ name: objective.name, colour: 0, points }], {
      xName: 'candidate',
      yName: objectiveTitle(objective),
      xMin: 0,
      ...(objective.unit === 'share' && { yLabel: (value: number) => valueText(objective, value) }),
    }),
    legend: [],
  };
}

function hypervolumeFigure({ objectives }: SweepRecord, { compared, hypervolumes, worst, rung }: ParetoFront): readonly Figure[] {
  if (objectives.length < 2 || hypervolumes.length === 0) return [];
  const reference = objectives.map((objective, index) => `${objective.name} ${valueText(objective, worst[index] as number)}`).join(', ');
  const points = compared.flatMap(({ candidate: { candidate: x } }, index) =>
    [hypervolumes[index - 1], hypervolumes[index]].flatMap((y) => (y === undefined ? [] : [{ x, y }])),
  );
  return [
    {
      title: 'Hypervolume of the front so far',
      caption: `Share of the box between the worst and the best observed values that the front of the candidates up to a number dominates; rung ${rung}. Reference point: the worst observed (${reference}). Computed from means over seeds.`,
      svg: lineChart([{ name: 'hypervolume', colour: 0, points }], {
        xName: 'candidate',
        yName: 'share of the box',
        xMin: 0,
        yMin: 0,
        yMax: 1,
      }),
      legend: [],
    },
  ];
}

/** Candidates per rung, as bars. */
export function rungFigure(record: SweepRecord): Figure {
  const reached = record.rungs.map(
    (_, rung) => record.candidates.filter((candidate) => resultOn(record, candidate, rung) !== undefined).length,
  );
  const complete = record.rungs.map((_, rung) => completeResults(record, rung).length);
  const labels = record.rungs.map(({ epochs }, rung) => `rung ${rung}: ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}`);
  const bars = (counts: readonly number[]) => counts.map((value) => ({ value }));
  const series = [
    { name: 'measured with any seed', colour: 7, bars: bars(reached) },
    { name: 'measured with every seed', colour: 0, bars: bars(complete) },
  ];
  return {
    title: 'Candidates per rung',
    caption: `Of ${record.candidates.length} candidates. Only those measured with every seed are compared.`,
    svg: barChart(series, { labels, xName: 'candidates', width: 680, text: String }),
    legend: series,
  };
}
