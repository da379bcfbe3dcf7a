/**
 * @file Stands in for prometheus-nats-exporter where it can't be had: reads a real server's /varz, /healthz and /jsz and gives the metrics
 * that our rules and dashboards use under that exporter's names. For the recorded run only.
 */
import { createServer, type Server } from 'node:http';
import { FOREIGN_METRICS } from './known-metrics.ts';

interface Consumer {
  readonly name: string;
  readonly [figure: string]: unknown;
}

interface Jsz {
  readonly config: { readonly max_storage: number };
  readonly streams: number;
  readonly bytes: number;
  readonly account_details?: readonly {
    readonly name: string;
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly state: { readonly messages: number; readonly bytes: number; readonly last_seq: number };
      readonly consumer_detail?: readonly Consumer[];
    }[];
  }[];
}

/** @param monitor e.g. `http://127.0.0.1:8222` */
export function startNatsExporter(monitor: string, port: number): Server {
  const server = createServer((_request, response) => {
    read(monitor).then(
      // Prometheus 3 takes nothing without a type.
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  return server.listen(port, '127.0.0.1');
}

async function read(monitor: string): Promise<string> {
  const get = async <T>(path: string): Promise<T> => (await (await fetch(monitor + path)).json()) as T;
  const [varz, healthz, jsz] = await Promise.all([
    get<Record<string, unknown>>('/varz'),
    get<{ status: string }>('/healthz'),
    get<Jsz>('/jsz?consumers=true&config=true'),
  ]);
  const server = { server_id: String(varz.server_id) };
  const lines = [line('gnatsd_healthz_status', server, healthz.status === 'ok' ? 0 : 1)];
  for (const name of Object.values(FOREIGN_METRICS).flatMap(({ metrics }) => Object.keys(metrics))) {
    const field = /^gnatsd_varz_(.+)$/.exec(name)?.[1];
    if (field !== undefined) lines.push(line(name, server, Number(varz[field])));
  }
  const labels = { ...server, server_name: String(varz.server_name), cluster: '' };
  lines.push(
    line('jetstream_server_total_message_bytes', labels, jsz.bytes),
    line('jetstream_server_max_storage', labels, jsz.config.max_storage),
    line('jetstream_server_total_streams', labels, jsz.streams),
  );
  for (const { name: account, stream_detail = [] } of jsz.account_details ?? []) {
    for (const { name, state, consumer_detail = [] } of stream_detail) {
      const stream = { ...labels, account, stream_name: name, is_stream_leader: 'true' };
      lines.push(
        line('jetstream_stream_total_messages', stream, state.messages),
        line('jetstream_stream_total_bytes', stream, state.bytes),
      );
      for (const consumer of consumer_detail)
        for (const figure of ['num_pending', 'num_ack_pending', 'num_redelivered', 'num_waiting'])
          lines.push(
            line(
              `jetstream_consumer_${figure}`,
              { ...stream, consumer_name: consumer.name, is_consumer_leader: 'true' },
              Number(consumer[figure]),
            ),
          );
    }
  }
  return `${lines.join('\n')}\n`;
}

function line(name: string, labels: Readonly<Record<string, string>>, value: number): string {
  const list = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
  return `${name}{${list.join(',')}} ${value}`;
}
