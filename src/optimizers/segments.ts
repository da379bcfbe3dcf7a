/** @file Parts of the flat vector that an optimiser treats differently, told by the names of the parameters. */
import { isDecayed, isRunningStatistic } from '../config/index.ts';
import { sizeOf, type TensorSpec, type VectorRange } from '../core/index.ts';

/** A part of the flat vector, with the weight decay that holds there; or running statistics, which have no gradient. */
export interface Segment extends VectorRange {
  readonly weightDecay: number;
  readonly statistics: boolean;
}

/** One segment per run of neighbours that are treated alike. */
export function segmentsOf(specs: readonly TensorSpec[], weightDecay: number): Segment[] {
  const segments: Segment[] = [];
  let from = 0;
  for (const { name, shape } of specs) {
    const to = from + sizeOf(shape);
    const decay = isDecayed(name) ? weightDecay : 0;
    const statistics = isRunningStatistic(name);
    const last = segments.at(-1);
    if (last?.weightDecay === decay && last.statistics === statistics) segments[segments.length - 1] = { ...last, to };
    else segments.push({ from, to, weightDecay: decay, statistics });
    from = to;
  }
  return segments;
}

/** Where the parameters lie that `chosen` names, neighbours joined. */
export function rangesOf(specs: readonly TensorSpec[], chosen: (name: string) => boolean): VectorRange[] {
  const ranges: VectorRange[] = [];
  let from = 0;
  for (const { name, shape } of specs) {
    const to = from + sizeOf(shape);
    const last = ranges.at(-1);
    if (chosen(name)) {
      if (last?.to === from) ranges[ranges.length - 1] = { from: last.from, to };
      else ranges.push({ from, to });
    }
    from = to;
  }
  return ranges;
}
