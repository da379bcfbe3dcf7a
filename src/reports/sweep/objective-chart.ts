/** @file Two objectives against each other: all candidates compared, and the front among them. */
import type { ObjectiveRecord, SweepRecord } from '../../sweeps/index.ts';
import { AXIS_STYLE, CHART_GRID, drawChart, FONT, shortNumber } from '../chart-svg.ts';
import type { Figure } from '../run-charts.ts';
import type { CandidateResult } from './candidate-result.ts';
import type { ParetoFront } from './pareto-front.ts';
import { objectiveTitle } from './sweep-text.ts';

/** One drawing per pair of objectives; none for a single objective. */
export function objectiveFigures(record: SweepRecord, pareto: ParetoFront): readonly Figure[] {
  return record.objectives.flatMap((_, x) =>
    record.objectives.slice(x + 1).map((_, offset) => objectiveFigure(record, pareto, x, x + 1 + offset)),
  );
}

function objectiveFigure({ objectives, seeds }: SweepRecord, { rung, compared, front, knee }: ParetoFront, x: number, y: number): Figure {
  const [xObjective, yObjective] = [objectives[x] as ObjectiveRecord, objectives[y] as ObjectiveRecord];
  const others = compared.filter((result) => !front.includes(result));
  const bars = seeds.length > 1 ? ' Crosses: 95 % t intervals over seeds.' : ' One seed each (n = 1): no intervals.';
  const option = {
    animation: false,
    textStyle: FONT,
    grid: CHART_GRID,
    xAxis: { ...axis(xObjective), name: objectiveTitle(xObjective), nameLocation: 'middle', nameGap: 28, splitLine: { show: false } },
    yAxis: {
      ...axis(yObjective),
      name: objectiveTitle(yObjective),
      nameGap: 14,
      nameTextStyle: { ...AXIS_STYLE.nameTextStyle, align: 'left', padding: [0, 0, 0, -4] },
      axisLine: { show: false },
    },
    series: [
      ...layer(others, x, y, 7, { symbolSize: 6, opacity: 0.55, named: false }),
      ...layer(front, x, y, 0, { symbolSize: 9, opacity: 1, named: front.length <= MOST_NAMED }),
    ],
  };
  const kneeNote = knee === undefined ? '' : ` Candidate #${knee.candidate.candidate} is the knee.`;
  return {
    title: `${yObjective.name} against ${xObjective.name}`,
    caption: `Means of the ${compared.length} candidates that are complete on rung ${rung}; numbered: the ${front.length} on the front over all objectives.${kneeNote}${bars} Arrows say where better is.`,
    svg: drawChart(option, { width: 1040, height: 460, label: `${yObjective.name} against ${xObjective.name}` }),
    legend: [
      { name: 'Pareto front', colour: 0 },
      { name: 'dominated', colour: 7 },
    ],
  };
}

/** More numbers would cover each other. */
const MOST_NAMED = 25;

function axis({ unit }: ObjectiveRecord): object {
  const formatter = unit === 'share' ? (value: number) => `${Number((value * 100).toFixed(2))} %` : shortNumber;
  return { ...AXIS_STYLE, type: 'value', scale: true, axisLabel: { ...FONT, hideOverlap: true, formatter } };
}

interface Look {
  readonly symbolSize: number;
  readonly opacity: number;
  readonly named: boolean;
}

function layer(results: readonly CandidateResult[], x: number, y: number, colour: number, { symbolSize, opacity, named }: Look): object[] {
  const color = `var(--s${colour})`;
  const ends = (result: CandidateResult, index: number): readonly number[] => {
    const { mean = 0, interval } = result.estimates[index] ?? {};
    return [mean, interval?.low ?? mean, interval?.high ?? mean];
  };
  return [
    {
      type: 'custom',
      silent: true,
      data: results.map((result) => [...ends(result, x), ...ends(result, y)]),
      encode: { x: [0, 1, 2], y: [3, 4, 5] },
      renderItem: (_: unknown, api: { value(dimension: number): number; coord(point: number[]): number[] }) => {
        const at = (i: number, j: number): number[] => api.coord([api.value(i), api.value(j)]);
        const lines = [
          [at(1, 3), at(2, 3)],
          [at(0, 4), at(0, 5)],
        ].map(([[x1 = 0, y1 = 0] = [], [x2 = 0, y2 = 0] = []]) => ({
          type: 'line',
          shape: { x1, y1, x2, y2 },
          style: { stroke: color, lineWidth: 1, opacity: opacity * 0.6 },
        }));
        return { type: 'group', children: lines };
      },
    },
    {
      type: 'scatter',
      silent: true,
      symbolSize,
      itemStyle: { color, opacity },
      data: results.map((result) => [ends(result, x)[0], ends(result, y)[0]]),
      label: {
        ...FONT,
        fontSize: 11,
        show: named,
        position: 'top',
        formatter: ({ dataIndex }: { dataIndex: number }) => `#${results[dataIndex]?.candidate.candidate}`,
      },
    },
  ];
}
