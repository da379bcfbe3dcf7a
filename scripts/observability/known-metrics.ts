/** @file The metrics that rules and dashboards may use: ours from the typed table, those of prom-client, and named ones of other exporters. */
import { status } from '@grpc/grpc-js';
import { ERROR_CODES } from '../../src/core/index.ts';
import { createMetrics, METRICS, type MetricDescription } from '../../src/telemetry/index.ts';
import type { Catalogue, Series } from './promql.ts';

/** Labels of a JetStream consumer in prometheus-nats-exporter. */
const STREAM_LABELS = ['server_id', 'server_name', 'cluster', 'account', 'stream_name', 'is_stream_leader'];
const CONSUMER_LABELS = [...STREAM_LABELS, 'consumer_name', 'is_consumer_leader'];
/** dcgm-exporter's, with the pod that has the GPU where its option `--kubernetes` is on. */
const GPU_LABELS = ['gpu', 'UUID', 'device', 'modelName', 'Hostname'];

interface Foreign {
  /** Where name and labels were read. */
  readonly source: string;
  readonly metrics: Readonly<Record<string, { readonly type: Series['type']; readonly labels: readonly string[] }>>;
}

const gauge = (...labels: string[]) => ({ type: 'gauge', labels }) as const;
const counter = (...labels: string[]) => ({ type: 'counter', labels }) as const;

/** Metrics of other exporters: only these may be used. */
export const FOREIGN_METRICS: Readonly<Record<string, Foreign>> = {
  prometheus: {
    source: 'https://prometheus.io/docs/concepts/jobs_instances/ and GET /metrics of Prometheus 2.42',
    metrics: {
      up: gauge(),
      scrape_duration_seconds: gauge(),
      scrape_samples_scraped: gauge(),
      ALERTS: gauge('alertname', 'alertstate', 'severity', 'run', 'sweep'),
    },
  },
  'prometheus-nats-exporter -varz -healthz -jsz=all': {
    source: 'https://github.com/nats-io/prometheus-nats-exporter, collector/{collector,healthz,jsz}.go; fields of varz from nats-server',
    metrics: {
      gnatsd_healthz_status: gauge('server_id'),
      gnatsd_varz_connections: gauge('server_id'),
      // The exporter gives counters of the server as gauges; they are counters all the same.
      gnatsd_varz_in_msgs: counter('server_id'),
      gnatsd_varz_out_msgs: counter('server_id'),
      gnatsd_varz_in_bytes: counter('server_id'),
      gnatsd_varz_out_bytes: counter('server_id'),
      gnatsd_varz_slow_consumers: counter('server_id'),
      gnatsd_varz_mem: gauge('server_id'),
      gnatsd_varz_cpu: gauge('server_id'),
      jetstream_server_total_message_bytes: gauge('server_id', 'server_name', 'cluster'),
      jetstream_server_max_storage: gauge('server_id', 'server_name', 'cluster'),
      jetstream_server_total_streams: gauge('server_id', 'server_name', 'cluster'),
      jetstream_stream_total_messages: gauge(...STREAM_LABELS),
      jetstream_stream_total_bytes: gauge(...STREAM_LABELS),
      jetstream_stream_last_seq: counter(...STREAM_LABELS),
      jetstream_consumer_num_pending: gauge(...CONSUMER_LABELS),
      jetstream_consumer_num_ack_pending: gauge(...CONSUMER_LABELS),
      jetstream_consumer_num_redelivered: gauge(...CONSUMER_LABELS),
      jetstream_consumer_num_waiting: gauge(...CONSUMER_LABELS),
      jetstream_consumer_delivered_consumer_seq: counter(...CONSUMER_LABELS),
    },
  },
  'dcgm-exporter': {
    source: 'https://github.com/NVIDIA/dcgm-exporter, etc/default-counters.csv',
    metrics: {
      DCGM_FI_DEV_GPU_UTIL: gauge(...GPU_LABELS),
      DCGM_FI_DEV_MEM_COPY_UTIL: gauge(...GPU_LABELS),
      DCGM_FI_DEV_FB_USED: gauge(...GPU_LABELS),
      DCGM_FI_DEV_FB_FREE: gauge(...GPU_LABELS),
      DCGM_FI_DEV_GPU_TEMP: gauge(...GPU_LABELS),
      DCGM_FI_DEV_POWER_USAGE: gauge(...GPU_LABELS),
      DCGM_FI_DEV_SM_CLOCK: gauge(...GPU_LABELS),
      DCGM_FI_DEV_XID_ERRORS: gauge(...GPU_LABELS),
    },
  },
};

/** Labels whose help text lists all their values, between words. */
const LISTED_LABELS: ReadonlySet<string> = new Set(['state', 'reason', 'phase', 'kind', 'outcome', 'direction', 'stream']);

/** Ours by full name, histograms as their three series. */
export function ownSeries(): Map<string, Series> {
  const found = new Map<string, Series>();
  for (const { name, type, labels, help, roles } of Object.values(METRICS) as MetricDescription[]) {
    const words = new Set<string>(help.match(/[A-Za-z_-]+/g));
    const values = (label: string): ReadonlySet<string> | undefined => {
      if (label === 'code') return new Set(Object.keys(name.startsWith('deepdefense_grpc_') ? status : ERROR_CODES));
      if (label === 'role') return new Set(roles);
      return LISTED_LABELS.has(label) ? words : undefined;
    };
    addSeries(found, name, type, labels, values);
  }
  return found;
}

/** Those of prom-client, as a process of ours gives them. */
export async function processSeries(): Promise<Map<string, Series>> {
  const found = new Map<string, Series>();
  const text = await createMetrics('coordinator').render();
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE ((?:process|nodejs)_\S+) (\w+)$/gm)) {
    const labels = new Set(
      [...text.matchAll(new RegExp(`^${name}(?:_bucket)?\\{(.*?)\\}`, 'gm'))].flatMap(([, list = '']) => labelNames(list)),
    );
    labels.delete('le');
    addSeries(found, name, type as MetricDescription['type'], [...labels]);
  }
  return found;
}

/** Everything that may be used, but for the results of recording rules. */
export async function knownSeries(): Promise<Map<string, Series>> {
  const foreign = Object.values(FOREIGN_METRICS).flatMap(({ metrics }) => Object.entries(metrics));
  const known: [string, Series][] = foreign.map(([name, { type, labels }]) => [name, { type, labels: new Set(labels) }]);
  return new Map([...(await processSeries()), ...known, ...ownSeries()]);
}

/** Name of the metric that a series belongs to. */
export function metricOf(series: string, catalogue: Catalogue): string {
  const base = series.replace(/_(bucket|sum|count)$/, '');
  return catalogue.has(`${base}_bucket`) ? base : series;
}

function addSeries(
  to: Map<string, Series>,
  name: string,
  type: MetricDescription['type'],
  labels: readonly string[],
  values?: Series['values'],
): void {
  const shared = values === undefined ? {} : { values };
  if (type !== 'histogram') {
    to.set(name, { type, labels: new Set(labels), ...shared });
    return;
  }
  to.set(`${name}_bucket`, { type: 'bucket', labels: new Set([...labels, 'le']), ...shared });
  for (const suffix of ['_sum', '_count']) to.set(name + suffix, { type: 'counter', labels: new Set(labels), ...shared });
}

function labelNames(list: string): string[] {
  return [...list.matchAll(/(\w+)="/g)].map(([, name = '']) => name);
}
