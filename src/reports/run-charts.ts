/** @file The charts of a report, each as drawing, caption and legend. A run keeps its colour through all charts. */
import { attackTitle } from './format.ts';
import { type ChartPoint, type ChartSeries, lineChart } from './line-chart.ts';
import { type EvaluationRecord, gfaLayers, type RunRecord, type StepRecord } from './run-record.ts';
import { wilsonInterval } from './wilson.ts';

export interface Figure {
  readonly title: string;
  readonly caption: string;
  readonly svg: string;
  readonly legend: readonly Pick<ChartSeries, 'name' | 'colour' | 'dash'>[];
}

/** A name for each run that tells it from the others: the run's own, else with seed, else the run id. */
export function runTitles(runs: readonly RunRecord[]): readonly string[] {
  const candidates = [
    runs.map((run) => run.strategy),
    runs.map((run) => `${run.strategy} (${run.model})`),
    runs.map((run) => run.name),
    runs.map((run) => `${run.name}, seed ${run.seed}`),
  ];
  return candidates.find((titles) => new Set(titles).size === titles.length) ?? runs.map((run) => run.runId);
}

/** Most points of a curve; longer ones are averaged over equal stretches. */
const CURVE_POINTS = 100;

/** One value per step, averaged over stretches so that at most {@link CURVE_POINTS} remain. Steps count from 1 on the axis. */
export function stepCurve(records: readonly StepRecord[], valueOf: (record: StepRecord) => number | undefined): ChartPoint[] {
  const stretch = Math.max(1, Math.ceil(records.length / CURVE_POINTS));
  const points: ChartPoint[] = [];
  for (let first = 0; first < records.length; first += stretch) {
    const part = records.slice(first, first + stretch);
    const values = part.map(valueOf).filter((value): value is number => value !== undefined && Number.isFinite(value));
    if (values.length === 0) continue;
    const middle = part.reduce((sum, record) => sum + record.step + 1, 0) / part.length;
    points.push({ x: middle, y: values.reduce((sum, value) => sum + value, 0) / values.length });
  }
  return points;
}

/** How a caption says that {@link stepCurve} averaged; empty when it did not. */
function averagedOver(runs: readonly RunRecord[]): string {
  const stretch = Math.max(...runs.map((run) => Math.ceil(run.stepRecords.length / CURVE_POINTS)), 1);
  return stretch === 1 ? '' : ` Each point is the mean of ${stretch} steps.`;
}

function stepAxis(runs: readonly RunRecord[]): { xName: string; xMin: number; xMax: number } {
  return { xName: 'step', xMin: 0, xMax: Math.max(1, ...runs.map((run) => run.steps)) };
}

/** Training loss: the task's part of every run, and dashed the total where a regulariser adds to it. */
export function lossFigure(runs: readonly RunRecord[]): Figure | undefined {
  const titles = runTitles(runs);
  const series = runs.flatMap((run, colour): ChartSeries[] => {
    const title = titles[colour] as string;
    const task: ChartSeries = {
      name: title,
      colour,
      points: stepCurve(run.stepRecords, (record) => record.metrics.lossTerm ?? record.loss),
    };
    if (gfaLayers(run).length === 0) return [task];
    const total = stepCurve(run.stepRecords, (record) => record.loss);
    return [task, { name: `${title}, with regulariser`, colour, dash: 'dashed', points: total }];
  });
  return figure({
    title: 'Training loss',
    caption: `Loss on the training batch of a step, augmentation and attacks of training included.${averagedOver(runs)}`,
    series,
    axes: { ...stepAxis(runs), yName: 'loss' },
  });
}

/** Accuracy during training: clean test images as dots, the training batches dotted in the same colour. */
export function accuracyFigure(runs: readonly RunRecord[]): Figure | undefined {
  const titles = runTitles(runs);
  const series = runs.flatMap((run, colour): ChartSeries[] => {
    const title = titles[colour] as string;
    const test = run.cleanHistory.map((evaluation) => ({ x: evaluation.step, ...withInterval(evaluation) }));
    const train = stepCurve(run.stepRecords, (record) => record.metrics.accuracy);
    return [
      { name: `${title}, test`, colour, dots: true, points: test },
      { name: `${title}, training batch`, colour, dash: 'dotted', points: train },
    ];
  });
  return figure({
    title: 'Accuracy during training',
    caption: `On unchanged test images with Wilson 95 % intervals, and on the training batch of a step before its update.${averagedOver(runs)}`,
    series,
    axes: { ...stepAxis(runs), yName: 'accuracy', yMin: 0, yMax: 1, yLabel: (y) => `${Math.round(y * 100)} %` },
  });
}

/** Accuracy against eps, one figure per attack, one line per run; eps = 0 is the clean accuracy. */
export function attackFigures(runs: readonly RunRecord[]): readonly Figure[] {
  const titles = runTitles(runs);
  const attacks = [...new Set(runs.flatMap((run) => run.finalAccuracies.map((one) => one.attack)))].filter((name) => name !== 'clean');
  return attacks.flatMap((attack) => {
    const series = runs.map((run, colour): ChartSeries => {
      const points = run.finalAccuracies.filter((one) => one.attack === attack || one.attack === 'clean');
      return {
        name: titles[colour] as string,
        colour,
        dots: true,
        points: points.map((one) => ({ x: one.epsLinf * 255, ...withInterval(one) })).sort((a, b) => a.x - b.x),
      };
    });
    const drawn = figure({
      title: `Accuracy under ${attackTitle(attack)}`,
      caption: `Test accuracy against the L∞ radius in 1/255; 0 is the clean accuracy. Bars: Wilson 95 % intervals.`,
      series,
      axes: { xName: 'ε · 255', yName: 'accuracy', yMin: 0, yMax: 1, yLabel: (y) => `${Math.round(y * 100)} %` },
    });
    return drawn === undefined ? [] : [drawn];
  });
}

/** What the GFA metrics of a layer mean, in order of the report. */
const ALIGNMENT_METRICS = [
  {
    key: 'term',
    title: 'GFA term',
    symbol: 'term',
    caption: 'The regulariser of the layer before its weight, mean over samples.',
    scale: 'linear',
  },
  { key: 'cosine', title: 'Cosine of feature and gradient', symbol: 'c', caption: 'Mean over samples of c = cos(h, g).', scale: 'linear' },
  {
    key: 'absCosine',
    title: 'Absolute cosine',
    symbol: '|c|',
    caption: 'Mean over samples of |c|; 1 = the gradient is purely radial.',
    scale: 'linear',
  },
  { key: 'gradientNorm', title: 'Gradient norm', symbol: '‖g‖', caption: 'Mean over samples of ‖g‖, logarithmic.', scale: 'log' },
  {
    key: 'zeroGradient',
    title: 'Zero gradients',
    symbol: 'share',
    caption: 'Share of samples whose gradient at the layer is zero.',
    scale: 'linear',
  },
] as const;

/** Alignment per layer over steps, one figure per metric, one line per layer. Empty for runs without GFA metrics. */
export function alignmentFigures(run: RunRecord): readonly Figure[] {
  const layers = gfaLayers(run);
  return ALIGNMENT_METRICS.flatMap(({ key, title, symbol, caption, scale }) => {
    const series = layers.map(
      (layer, colour): ChartSeries => ({
        name: layer,
        colour,
        points: stepCurve(run.stepRecords, (record) => record.metrics[`gfa/${layer}/${key}`]),
      }),
    );
    // Zero gradients are a warning sign: shown only when there are some.
    if (key === 'zeroGradient' && series.every((one) => one.points.every((point) => point.y === 0))) return [];
    const drawn = figure({
      title,
      caption: `${caption}${averagedOver([run])}`,
      series,
      axes: { ...stepAxis([run]), yName: symbol, yScale: scale },
    });
    return drawn === undefined ? [] : [drawn];
  });
}

interface FigureParts {
  readonly title: string;
  readonly caption: string;
  readonly series: readonly ChartSeries[];
  readonly axes: Parameters<typeof lineChart>[1];
}

function figure({ title, caption, series, axes }: FigureParts): Figure | undefined {
  const drawn = series.filter((one) => one.points.length > 0);
  if (drawn.length === 0) return undefined;
  return { title, caption, svg: lineChart(drawn, axes), legend: drawn };
}

function withInterval(evaluation: EvaluationRecord): Omit<ChartPoint, 'x'> {
  const { accuracy, samples } = evaluation;
  return samples > 0 ? { y: accuracy, ...wilsonInterval(accuracy * samples, samples) } : { y: accuracy };
}
