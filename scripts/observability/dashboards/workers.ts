/** @file Dashboard of workers and stragglers. */
import { type DashboardText, INSTANCE, ofRun, RUN } from './dashboard.ts';
import { heatmap, lines, stat } from './panels.ts';

const at = (metric: string, matcher = ''): string => `${metric}{instance=~"$instance"${matcher}}`;

export const WORKERS_DASHBOARD: DashboardText = {
  uid: 'deepdefense-workers',
  title: 'deepdefense / Workers and stragglers',
  description: 'Who computes, who waits for whom, and what is taken back.',
  variables: [RUN, INSTANCE],
  rows: [
    {
      title: 'Now',
      panels: [
        stat({ title: 'Busy', description: 'Workers with a lease.', unit: 'none' }, [
          [ofRun('deepdefense_workers{state="busy"}'), '{{run}}'],
        ]),
        stat({ title: 'Idle', description: 'Ready, spare or quarantined ones.', unit: 'none' }, [
          [ofRun('deepdefense_workers{state="idle"}'), '{{run}}'],
        ]),
        stat({ title: 'Required', description: 'cluster.minWorkers: a step waits for so many.', unit: 'none' }, [
          [ofRun('deepdefense_workers_required'), '{{run}}'],
        ]),
        stat(
          { title: 'Waiting for workers', description: '1 while the run waits.', unit: 'none' },
          [[ofRun('deepdefense_waiting_for_workers'), '{{run}}']],
          { values: [0.5, 1], rising: true },
        ),
        stat(
          { title: 'Quarantined', description: 'Present workers that get no new lease for a while.', unit: 'none' },
          [[ofRun('deepdefense_workers_quarantined'), '{{run}}']],
          { values: [1, 2], rising: true },
        ),
        stat(
          { title: 'Stragglers', description: 'Share of worker time spent on waiting for the slowest.', unit: 'percentunit' },
          [['run:deepdefense_stragglers:ratio_rate15m{run=~"$run"}', '{{run}}']],
          { values: [0.2, 0.3], rising: true },
        ),
      ],
    },
    {
      title: 'Membership',
      panels: [
        lines(
          { title: 'Workers by state', description: 'lost = silent, not yet removed.', unit: 'none' },
          [[`sum by (state) (${ofRun('deepdefense_workers')})`, '{{state}}']],
          { stacked: true },
        ),
        lines({ title: 'Joins and leaves', description: 'Within five minutes, leaves by reason.', unit: 'none' }, [
          [ofRun('increase(deepdefense_worker_joins_total[5m])'), '{{run}} joined'],
          [ofRun('increase(deepdefense_worker_leaves_total[5m])'), '{{run}} left: {{reason}}'],
        ]),
        lines({ title: 'Silence', description: 'Time since a worker was last heard; cluster.leaseMs ends its leases.', unit: 's' }, [
          [`time() - (${ofRun('deepdefense_worker_last_heartbeat_timestamp_seconds')})`, '{{worker}}'],
        ]),
        lines({ title: 'Heartbeats a second', description: 'As the coordinator receives and workers send them.', unit: 'short' }, [
          ['rate(deepdefense_heartbeats_total[$__rate_interval])', '{{instance}}'],
        ]),
      ],
    },
    {
      title: 'Stragglers',
      panels: [
        lines({ title: 'Samples a second of pure computation', description: 'By worker; a low line is a straggler.', unit: 'short' }, [
          [ofRun('deepdefense_worker_samples_per_second'), '{{worker}}'],
        ]),
        heatmap(
          {
            title: 'Wait for the last worker',
            description: 'From the answer of the median worker to that of the last one of a step.',
            unit: 's',
          },
          `sum by (le) (${ofRun('rate(deepdefense_step_straggler_seconds_bucket[$__rate_interval])')})`,
        ),
        lines({ title: 'Leases', description: 'Granted, taken back by reason, and speculative ones, a second.', unit: 'short' }, [
          [ofRun('rate(deepdefense_leases_granted_total[$__rate_interval])'), '{{run}} granted'],
          [ofRun('rate(deepdefense_leases_expired_total[$__rate_interval])'), '{{run}} taken back: {{reason}}'],
          [ofRun('rate(deepdefense_speculative_leases_total[$__rate_interval])'), '{{run}} speculative'],
        ]),
        lines({ title: 'Superseded answers and quarantines', description: 'Within five minutes.', unit: 'none' }, [
          [ofRun('increase(deepdefense_answers_superseded_total[5m])'), '{{run}} superseded'],
          [ofRun('increase(deepdefense_quarantines_total[5m])'), '{{run}} quarantined: {{reason}}'],
        ]),
      ],
    },
    {
      title: 'Worker processes',
      panels: [
        lines(
          {
            title: 'Connected and ready',
            description: '2 = connected to the coordinator and ready, 1 = connected, 0 = neither.',
            unit: 'none',
          },
          [[`${at('deepdefense_worker_connected')} + ${at('deepdefense_worker_ready')}`, '{{instance}}']],
          { width: 8 },
        ),
        lines(
          { title: 'Time of a task', description: 'Mean of pure computation, by kind.', unit: 's' },
          [
            [
              `rate(${at('deepdefense_worker_task_seconds_sum')}[$__rate_interval]) / rate(${at('deepdefense_worker_task_seconds_count')}[$__rate_interval])`,
              '{{instance}} {{kind}}',
            ],
          ],
          { width: 8 },
        ),
        lines(
          { title: 'Samples a second', description: 'Computed, by kind.', unit: 'short' },
          [[`rate(${at('deepdefense_worker_samples_total')}[$__rate_interval])`, '{{instance}} {{kind}}']],
          { width: 8 },
        ),
        lines(
          { title: 'Failures and reconnections', description: 'Within five minutes, failures by error code.', unit: 'none' },
          [
            [`increase(${at('deepdefense_worker_task_failures_total')}[5m])`, '{{instance}} {{code}}'],
            [`increase(${at('deepdefense_worker_reconnects_total')}[5m])`, '{{instance}} reconnected'],
          ],
          { width: 8 },
        ),
        lines(
          { title: 'Making graphs ready', description: 'By phase: capture, session.', unit: 's' },
          [[at('deepdefense_worker_compile_seconds'), '{{instance}} {{phase}}']],
          { width: 8 },
        ),
        lines(
          { title: 'Memory', description: 'Resident; of workers as their heartbeats say, and of processes as scraped.', unit: 'bytes' },
          [
            [ofRun('deepdefense_worker_resident_bytes'), '{{worker}}'],
            [at('process_resident_memory_bytes'), '{{instance}}'],
          ],
          { width: 8 },
        ),
        lines({ title: 'Processor time', description: 'Cores in use.', unit: 'short' }, [
          [`rate(${at('process_cpu_seconds_total')}[$__rate_interval])`, '{{instance}}'],
        ]),
        lines(
          { title: 'Traffic', description: 'Gradients, parameters and dataset, as each process sends or receives them.', unit: 'Bps' },
          [
            [`rate(${at('deepdefense_gradient_bytes_total')}[$__rate_interval])`, '{{instance}} gradients'],
            [`rate(${at('deepdefense_parameter_bytes_total')}[$__rate_interval])`, '{{instance}} parameters'],
            [`rate(${at('deepdefense_dataset_bytes_total')}[$__rate_interval])`, '{{instance}} dataset'],
          ],
        ),
      ],
    },
  ],
};
