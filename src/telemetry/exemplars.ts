/** @file Exemplars: which run, trial or trace an observation of a histogram belongs to. They take the place of labels that have no bound. */
import type { Histogram, LabelValues } from 'prom-client';

/** What an observation belongs to. */
export interface ExemplarContext {
  readonly run?: string | undefined;
  readonly trial?: string | undefined;
  readonly worker?: string | undefined;
  readonly trace_id?: string | undefined;
}

/** Names and values together, by OpenMetrics. */
const MOST_CHARACTERS = 128;
/** The order in which they get their share of these characters. */
const ORDER = ['trace_id', 'run', 'trial', 'worker'] as const satisfies readonly (keyof ExemplarContext)[];

/** What all observations of a process belong to; changes when it goes on with something else. */
export class ExemplarLabels {
  #context: ExemplarContext = {};

  /** Sets what is given; undefined = no more. */
  set(context: ExemplarContext): void {
    this.#context = { ...this.#context, ...context };
  }

  /** As prom-client takes them; values are cut where they would be too long together, for which it would throw. */
  labels(more: ExemplarContext | undefined): Record<string, string> {
    const context = more === undefined ? this.#context : { ...this.#context, ...more };
    const labels: Record<string, string> = {};
    let left = MOST_CHARACTERS;
    for (const name of ORDER) {
      const value = context[name]?.slice(0, Math.max(0, left - name.length));
      if (value === undefined || value === '') continue;
      labels[name] = value;
      left -= name.length + value.length;
    }
    return labels;
  }
}

/** A histogram whose observations have exemplars. */
export class ExemplarHistogram<Label extends string = string> {
  readonly #histogram: Histogram<Label>;
  readonly #labels: ExemplarLabels;

  constructor(histogram: Histogram<Label>, labels: ExemplarLabels) {
    this.#histogram = histogram;
    this.#labels = labels;
  }

  /** @param more beside what holds for the whole process */
  observe(labels: LabelValues<Label>, value: number, more?: ExemplarContext): void {
    this.#histogram.observe({ labels, value, exemplarLabels: this.#labels.labels(more) as LabelValues<Label> });
  }
}
