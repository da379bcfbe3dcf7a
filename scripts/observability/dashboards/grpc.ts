/** @file Dashboard of gRPC, refusals and the processes themselves. */
import { type DashboardText, INSTANCE } from './dashboard.ts';
import { lines, stat, table } from './panels.ts';

const at = (metric: string, matcher = ''): string => `${metric}{instance=~"$instance"${matcher}}`;

export const GRPC_DASHBOARD: DashboardText = {
  uid: 'deepdefense-grpc',
  title: 'deepdefense / gRPC and security',
  description: 'Calls, messages and refusals of coordinators, and the health of every process.',
  variables: [INSTANCE],
  rows: [
    {
      title: 'Now',
      panels: [
        stat({ title: 'Processes up', description: 'Of those that Prometheus scrapes.', unit: 'none' }, [
          ['sum(up{job=~"(.*/)?deepdefense.*"})', 'up'],
        ]),
        stat({ title: 'Connections', description: 'Open ones of all gRPC servers.', unit: 'none' }, [
          [`sum(${at('deepdefense_grpc_server_connections')})`, 'connections'],
        ]),
        stat({ title: 'Calls a second', description: 'That have ended.', unit: 'reqps' }, [
          [`sum(rate(${at('deepdefense_grpc_server_calls_total')}[5m]))`, 'calls'],
        ]),
        stat(
          {
            title: 'Errors',
            description: 'Share of ended calls whose status is not OK; cancelled streams of workers that left count.',
            unit: 'percentunit',
          },
          [
            [
              `(sum(rate(${at('deepdefense_grpc_server_calls_total', ', code!="OK"')}[5m])) or vector(0)) / sum(rate(${at('deepdefense_grpc_server_calls_total')}[5m]))`,
              'errors',
            ],
          ],
          { values: [0.05, 0.2], rising: true },
        ),
        stat(
          { title: 'Refusals', description: 'Messages and workers refused, within an hour.', unit: 'none' },
          [[`sum(increase(${at('deepdefense_refusals_total')}[1h])) or vector(0)`, 'refusals']],
          { values: [1, 10], rising: true },
        ),
        stat(
          { title: 'Event loop', description: 'Largest 99th percentile of the lag.', unit: 's' },
          [[`max(${at('nodejs_eventloop_lag_p99_seconds')})`, 'lag']],
          { values: [0.1, 0.5], rising: true },
        ),
      ],
    },
    {
      title: 'Calls',
      panels: [
        lines({ title: 'Rate by method', description: 'Calls that have ended.', unit: 'reqps' }, [
          [`sum by (method) (rate(${at('deepdefense_grpc_server_calls_total')}[$__rate_interval]))`, '{{method}}'],
        ]),
        lines({ title: 'By status', description: 'Of gRPC.', unit: 'reqps' }, [
          [`sum by (code) (rate(${at('deepdefense_grpc_server_calls_total')}[$__rate_interval]))`, '{{code}}'],
        ]),
        lines({ title: 'Time of calls', description: '95th percentile by method; claims wait for a task.', unit: 's' }, [
          [
            `histogram_quantile(0.95, sum by (method, le) (rate(${at('deepdefense_grpc_server_call_seconds_bucket')}[$__rate_interval])))`,
            '{{method}}',
          ],
        ]),
        lines({ title: 'Open calls', description: 'Streams of workers, waiting claims.', unit: 'none' }, [
          [`sum by (method) (${at('deepdefense_grpc_server_open_calls')})`, '{{method}}'],
        ]),
        lines({ title: 'Messages', description: 'A second, by direction.', unit: 'short' }, [
          [
            `sum by (method, direction) (rate(${at('deepdefense_grpc_server_messages_total')}[$__rate_interval]))`,
            '{{method}} {{direction}}',
          ],
        ]),
        lines({ title: 'Bytes', description: 'Before encryption, by direction.', unit: 'Bps' }, [
          [
            `sum by (method, direction) (rate(${at('deepdefense_grpc_server_message_bytes_total')}[$__rate_interval]))`,
            '{{method}} {{direction}}',
          ],
        ]),
      ],
    },
    {
      title: 'Security',
      panels: [
        lines(
          {
            title: 'Refusals by code',
            description: 'Codes are in docs/exit-codes.md; PROTOCOL_STALE_LEASE is normal when workers were slow.',
            unit: 'none',
          },
          [[`sum by (code) (${at('deepdefense_refusals_total')})`, '{{code}}']],
        ),
        lines(
          {
            title: 'What no honest peer does',
            description: 'Events a second by kind; kinds are in docs/metrics.md.',
            unit: 'none',
          },
          [[`sum by (kind) (rate(${at('deepdefense_security_events_total')}[$__rate_interval]))`, '{{kind}}']],
        ),
        lines({ title: 'Certificates', description: 'Time that the certificate of each coordinator is still valid.', unit: 's' }, [
          [`(${at('deepdefense_certificate_not_after_timestamp_seconds')} > 0) - time()`, '{{instance}}'],
        ]),
        lines({ title: 'Calls without login or rights, or over a limit', description: 'A second.', unit: 'reqps' }, [
          [
            `sum by (code) (rate(${at('deepdefense_grpc_server_calls_total', ', code=~"UNAUTHENTICATED|PERMISSION_DENIED|RESOURCE_EXHAUSTED"')}[$__rate_interval]))`,
            '{{code}}',
          ],
        ]),
      ],
    },
    {
      title: 'Processes',
      panels: [
        lines({ title: 'Lag of the event loop', description: '99th percentile; above half a second heartbeats come late.', unit: 's' }, [
          [at('nodejs_eventloop_lag_p99_seconds'), '{{instance}}'],
        ]),
        lines({ title: 'Heap', description: 'In use.', unit: 'bytes' }, [[at('nodejs_heap_size_used_bytes'), '{{instance}}']]),
        lines({ title: 'Collection of garbage', description: 'Share of time.', unit: 'percentunit' }, [
          [`sum by (instance) (rate(${at('nodejs_gc_duration_seconds_sum')}[$__rate_interval]))`, '{{instance}}'],
        ]),
        lines({ title: 'Open files and sockets', description: 'By process.', unit: 'none' }, [[at('process_open_fds'), '{{instance}}']]),
        lines({ title: 'Age', description: 'A fall to 0 is a restart.', unit: 's' }, [
          [`time() - ${at('process_start_time_seconds')}`, '{{instance}}'],
        ]),
        lines({ title: 'Time of a scrape', description: 'Long ones mean too many series or a busy process.', unit: 's' }, [
          [at('scrape_duration_seconds'), '{{job}} {{instance}}'],
        ]),
        table({ title: 'Versions', description: 'Of every process.', unit: 'none' }, [[at('deepdefense_build_info'), 'present']]),
      ],
    },
  ],
};
