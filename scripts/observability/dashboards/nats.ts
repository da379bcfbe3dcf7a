/** @file Dashboard of NATS: as our processes see it, and below as prometheus-nats-exporter does where it runs. */
import { type DashboardText, INSTANCE, ofSweep, SWEEP } from './dashboard.ts';
import { lines, stat } from './panels.ts';

const STREAM = 'stream_name=~"DEEPDEFENSE_.*|KV_deepdefense_.*", is_stream_leader="true"';

export const NATS_DASHBOARD: DashboardText = {
  uid: 'deepdefense-nats',
  title: 'deepdefense / NATS',
  description: 'Streams, consumers and servers of sweeps on NATS. The last row needs prometheus-nats-exporter -varz -healthz -jsz=all.',
  variables: [SWEEP, INSTANCE],
  rows: [
    {
      title: 'Now',
      panels: [
        stat(
          { title: 'Processes connected', description: 'Share of our processes with a connection to NATS.', unit: 'percentunit' },
          [['avg(deepdefense_nats_connected{instance=~"$instance"})', 'connected']],
          { values: [0.9, 1], rising: false },
        ),
        stat(
          { title: 'Round trip', description: '99th percentile, five minutes.', unit: 's' },
          [['histogram_quantile(0.99, sum by (le) (rate(deepdefense_nats_round_trip_seconds_bucket{instance=~"$instance"}[5m])))', 'all']],
          { values: [0.05, 0.25], rising: true },
        ),
        stat({ title: 'Not yet delivered', description: 'Tasks of the sweep.', unit: 'none' }, [
          [ofSweep('deepdefense_nats_consumer_pending_messages'), '{{sweep}}'],
        ]),
        stat({ title: 'With workers', description: 'Tasks delivered and not yet acknowledged.', unit: 'none' }, [
          [ofSweep('deepdefense_nats_consumer_ack_pending_messages'), '{{sweep}}'],
        ]),
        stat(
          { title: 'Delivered again', description: 'Tasks delivered more than once and not yet acknowledged.', unit: 'none' },
          [[ofSweep('deepdefense_nats_consumer_redelivered_messages'), '{{sweep}}']],
          { values: [1, 10], rising: true },
        ),
        stat(
          { title: 'Age of these figures', description: 'Streams and consumer are read every few seconds.', unit: 's' },
          [[`time() - (${ofSweep('deepdefense_nats_last_sample_timestamp_seconds')} > 0)`, '{{sweep}}']],
          { values: [60, 300], rising: true },
        ),
      ],
    },
    {
      title: 'Streams of sweeps',
      panels: [
        lines({ title: 'Messages', description: 'By stream: tasks, journal, events, claims.', unit: 'short' }, [
          [ofSweep('deepdefense_nats_stream_messages'), '{{sweep}} {{stream}}'],
        ]),
        lines({ title: 'Size', description: 'By stream.', unit: 'bytes' }, [
          [ofSweep('deepdefense_nats_stream_bytes'), '{{sweep}} {{stream}}'],
        ]),
        lines({ title: 'Copies', description: 'By state. All 0 without a leader.', unit: 'none' }, [
          [`sum by (sweep, stream, state) (${ofSweep('deepdefense_nats_stream_replicas')})`, '{{sweep}} {{stream}} {{state}}'],
        ]),
        lines({ title: 'Leader', description: 'Server that leads each stream; a change is an election.', unit: 'none' }, [
          [ofSweep('deepdefense_nats_stream_leader_info'), '{{sweep}} {{stream}}: {{server}}'],
        ]),
        lines({ title: 'Consumer', description: 'Tasks pending, with workers, and requests of workers that wait.', unit: 'none' }, [
          [ofSweep('deepdefense_nats_consumer_pending_messages'), '{{sweep}} pending'],
          [ofSweep('deepdefense_nats_consumer_ack_pending_messages'), '{{sweep}} with workers'],
          [ofSweep('deepdefense_nats_consumer_waiting_pulls'), '{{sweep}} waiting requests'],
        ]),
        lines({ title: 'Connections', description: 'Reconnections of our processes within five minutes.', unit: 'none' }, [
          ['increase(deepdefense_nats_reconnects_total{instance=~"$instance"}[5m])', '{{instance}}'],
        ]),
      ],
    },
    {
      title: 'Servers (prometheus-nats-exporter)',
      panels: [
        lines({ title: 'Messages a second', description: 'In and out, by server.', unit: 'short' }, [
          ['rate(gnatsd_varz_in_msgs[$__rate_interval])', '{{server_id}} in'],
          ['rate(gnatsd_varz_out_msgs[$__rate_interval])', '{{server_id}} out'],
        ]),
        lines({ title: 'Traffic', description: 'In and out, by server.', unit: 'Bps' }, [
          ['rate(gnatsd_varz_in_bytes[$__rate_interval])', '{{server_id}} in'],
          ['rate(gnatsd_varz_out_bytes[$__rate_interval])', '{{server_id}} out'],
        ]),
        lines({ title: 'Connections', description: 'Clients, and how many were cut off because they read too slowly.', unit: 'none' }, [
          ['gnatsd_varz_connections', '{{server_id}}'],
          ['increase(gnatsd_varz_slow_consumers[5m])', '{{server_id}} cut off'],
        ]),
        lines({ title: 'Memory', description: 'Of the server process.', unit: 'bytes' }, [['gnatsd_varz_mem', '{{server_id}}']]),
        lines(
          { title: 'Storage used', description: 'Share of the limit of JetStream.', unit: 'percentunit' },
          [['jetstream_server_total_message_bytes / (jetstream_server_max_storage > 0)', '{{server_name}}']],
          { max: 1 },
        ),
        lines({ title: 'Messages by stream', description: 'As the leader of each stream has them.', unit: 'short' }, [
          [`jetstream_stream_total_messages{${STREAM}}`, '{{stream_name}}'],
        ]),
        lines({ title: 'Consumers', description: 'Not yet delivered, and redelivered messages.', unit: 'none' }, [
          ['jetstream_consumer_num_pending{is_consumer_leader="true"}', '{{stream_name}} {{consumer_name}} pending'],
          ['jetstream_consumer_num_redelivered{is_consumer_leader="true"}', '{{stream_name}} {{consumer_name}} redelivered'],
        ]),
      ],
    },
  ],
};
