/** @file Every candidate as a line through its parameters and its results. */
import type { ObjectiveRecord, SweepRecord } from '../../sweeps/index.ts';
import { drawChart, FONT } from '../chart-svg.ts';
import type { Figure } from '../run-charts.ts';
import { ATOM } from '../statistics/functional-anova.ts';
import { type CandidateResult, completeResults } from './candidate-result.ts';
import { parameterColumns, parameterText } from './parameter-columns.ts';
import type { ParetoFront } from './pareto-front.ts';
import { objectiveTitle, shortNames, valueText } from './sweep-text.ts';

interface ParallelAxis {
  readonly name: string;
  /** One per candidate, in [0, 1], or {@link OFF}. */
  readonly places: readonly number[];
  /** Places with a text. */
  readonly labels: ReadonlyMap<number, string>;
}

/** Where lines of candidates run in which the parameter is off: below the axis. */
const OFF = -0.2;
/** More categories have no room for their names. */
const MOST_CATEGORIES = 8;

/** Undefined where there are fewer than two axes of parameters and objectives, or no complete candidates on the rung. */
export function parallelFigure(record: SweepRecord, pareto: ParetoFront, rung: number): Figure | undefined {
  const results = completeResults(record, rung);
  const axes = [
    ...parameterAxes(record, results),
    ...record.objectives.map((objective, index) => objectiveAxis(objective, index, results)),
  ];
  if (axes.length < 2 || results.length < 2) return undefined;
  const onFront = new Set(pareto.front.map(({ candidate }) => candidate.candidate));
  const lines = (front: boolean): readonly (readonly number[])[] =>
    results.flatMap(({ candidate }, row) =>
      onFront.has(candidate.candidate) === front ? [axes.map(({ places }) => places[row] as number)] : [],
    );
  const width = Math.max(680, 115 * axes.length);
  const option = {
    animation: false,
    textStyle: FONT,
    parallel: { left: 50, right: 70, top: 56, bottom: 28, axisExpandable: false },
    parallelAxis: axes.map(parallelAxis),
    series: [
      { data: lines(false), colour: 7, opacity: 0.35, width: 1 },
      { data: lines(true), colour: 0, opacity: 0.9, width: 2 },
    ].map(({ data, colour, opacity, width: lineWidth }) => ({
      type: 'parallel',
      silent: true,
      lineStyle: { color: `var(--s${colour})`, opacity, width: lineWidth },
      data,
    })),
  };
  return {
    title: 'Parameters and results of every candidate',
    caption: `${results.length} candidates that are complete on rung ${rung}; objectives are their means there, better above. Below an axis: the parameter or layer is off. Bold: the candidates of the front (rung ${pareto.rung}).`,
    svg: drawChart(option, { width, height: 340, label: `parallel coordinates of ${axes.map(({ name }) => name).join(', ')}` }),
    legend: [
      { name: 'Pareto front', colour: 0 },
      { name: 'others', colour: 7 },
    ],
  };
}

function parallelAxis({ name, labels, places }: ParallelAxis, dim: number): object {
  const shown = [...labels.keys()];
  return {
    dim,
    name: name.replace(' at ', '\nat '),
    type: 'value',
    min: places.includes(OFF) ? OFF : 0,
    max: 1,
    nameTextStyle: { ...FONT, color: 'var(--muted)', fontSize: 11 },
    nameGap: 14,
    axisLine: { lineStyle: { color: 'var(--axis)' } },
    axisTick: { show: false },
    splitLine: { show: false },
    axisLabel: {
      ...FONT,
      fontSize: 11,
      showMinLabel: true,
      showMaxLabel: true,
      customValues: shown,
      formatter: (value: number) => labels.get(shown.find((place) => Math.abs(place - value) < 1e-9) ?? Number.NaN) ?? '',
    },
  };
}

function parameterAxes(record: SweepRecord, results: readonly CandidateResult[]): readonly ParallelAxis[] {
  const candidates = results.map(({ candidate }) => candidate);
  const columns = parameterColumns(record, candidates);
  const names = shortNames(columns.map(({ name }) => name));
  return columns.map((column, index): ParallelAxis => {
    const own = candidates.map(({ parameters }) => parameters[column.name]);
    const texts = own.map(parameterText);
    const name = names[index] as string;
    if (column.feature.kind === 'category') {
      const { size } = column.feature;
      const places = [...column.values].map((key) => key / (size - 1));
      return { name, places, labels: new Map(size > MOST_CATEGORIES ? [] : places.map((place, row) => [place, texts[row] as string])) };
    }
    const places = [...column.values].map((place) => (place === ATOM ? OFF : place));
    // The limits by their declared values, where no candidate sits on them too.
    const { low, high } = record.parameters.find(({ name: one }) => one === column.name) ?? {};
    const numbers = own.filter((value, row): value is number => typeof value === 'number' && places[row] !== OFF);
    const labels = new Map([
      [0, parameterText(low ?? Math.min(...numbers))],
      [1, parameterText(high ?? Math.max(...numbers))],
    ]);
    if (places.includes(OFF)) labels.set(OFF, 'off');
    return { name, places, labels };
  });
}

function objectiveAxis(objective: ObjectiveRecord, index: number, results: readonly CandidateResult[]): ParallelAxis {
  const means = results.map(({ estimates }) => estimates[index]?.mean as number);
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const [worst, best] = objective.goal === 'maximize' ? [low, high] : [high, low];
  return {
    name: objectiveTitle(objective),
    places: means.map((mean) => (best === worst ? 0.5 : (mean - worst) / (best - worst))),
    labels: new Map([
      [0, valueText(objective, worst)],
      [1, valueText(objective, best)],
    ]),
  };
}
