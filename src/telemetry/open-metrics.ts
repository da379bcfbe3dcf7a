/**
 * @file The metrics of a registry in the OpenMetrics format, the only one with exemplars. prom-client renders a registry in one of two
 * formats and, for OpenMetrics, takes `_total` from the names of its counters for good; so it gets views of them in a registry of its own.
 */
import { type Metric, type MetricObject, type OpenMetricsContentType, Registry } from 'prom-client';

export const OPEN_METRICS_TYPE = 'application/openmetrics-text';

/** What prom-client calls on a metric when it renders. */
interface Rendered {
  readonly getForPromString?: () => Promise<MetricObject>;
  get(): Promise<MetricObject>;
}

/** A registry in the other format with the metrics that `registry` has now. */
export function openMetricsOf(registry: Registry): Registry<OpenMetricsContentType> {
  const views = new Registry<OpenMetricsContentType>();
  views.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const { name, type } of registry.getMetricsAsArray()) {
    const metric = registry.getSingleMetric(name) as unknown as Rendered;
    const view = {
      name,
      type,
      getForPromString: async () => ({ ...(await (metric.getForPromString?.() ?? metric.get())), name: view.name }),
    };
    views.registerMetric(view as unknown as Metric);
  }
  return views;
}
