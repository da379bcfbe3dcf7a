/** @file Dashboard of ledger, journal, checkpoints and goodput. */
import { type DashboardText, INSTANCE, ofRun, RUN } from './dashboard.ts';
import { heatmap, lines, stat } from './panels.ts';

const at = (metric: string): string => `${metric}{instance=~"$instance"}`;

export const LEDGER_DASHBOARD: DashboardText = {
  uid: 'deepdefense-ledger',
  title: 'deepdefense / Ledger and goodput',
  description: 'Whether every sample is accounted for and durable, and where the time of the workers goes.',
  variables: [RUN, INSTANCE],
  rows: [
    {
      title: 'Now',
      panels: [
        stat(
          { title: 'Gap in the ledger', description: 'Samples left out or counted twice. Anything but 0 is an error.', unit: 'none' },
          [[ofRun('deepdefense_ledger_gap_samples'), '{{run}}']],
          { values: [0.5, 1], rising: true },
        ),
        stat({ title: 'Samples accounted for', description: 'Of the steps that count, earlier processes included.', unit: 'short' }, [
          [ofRun('deepdefense_ledger_samples'), '{{run}}'],
        ]),
        stat(
          {
            title: 'Steps not yet durable',
            description: 'A machine that stops loses at most these; they are computed again.',
            unit: 'none',
          },
          [[ofRun('(deepdefense_step - deepdefense_ledger_durable_step)'), '{{run}}']],
        ),
        stat({ title: 'Resumes', description: 'In all processes of the run.', unit: 'none' }, [
          [ofRun('deepdefense_resumes_total'), '{{run}}'],
        ]),
        stat({ title: 'Steps recomputed', description: 'Made void by resumes.', unit: 'none' }, [
          [ofRun('deepdefense_recomputed_steps_total'), '{{run}}'],
        ]),
        stat(
          { title: 'Goodput', description: 'Share of worker time that is computation that counts.', unit: 'percentunit' },
          [['run:deepdefense_goodput:ratio_rate15m{run=~"$run"}', '{{run}}']],
          { values: [0.3, 0.5], rising: false },
        ),
      ],
    },
    {
      title: 'Goodput',
      panels: [
        lines(
          {
            title: 'Time of workers by class',
            description: 'Workers by what their time goes into; classes add up to all time.',
            unit: 'short',
          },
          [[`sum by (state) (${ofRun('rate(deepdefense_worker_seconds_total[$__rate_interval])')})`, '{{state}}']],
          { stacked: true, width: 24 },
        ),
        lines(
          { title: 'Goodput and stragglers', description: 'Shares of worker time, 15 minutes.', unit: 'percentunit' },
          [
            ['run:deepdefense_goodput:ratio_rate15m{run=~"$run"}', '{{run}} goodput'],
            ['run:deepdefense_stragglers:ratio_rate15m{run=~"$run"}', '{{run}} stragglers'],
          ],
          { max: 1, width: 24 },
        ),
      ],
    },
    {
      title: 'Journal',
      panels: [
        lines({ title: 'Lines a second', description: 'Appended to the journal.', unit: 'short' }, [
          [`rate(${at('deepdefense_journal_lines_total')}[$__rate_interval])`, '{{instance}}'],
        ]),
        lines({ title: 'Growth', description: 'Bytes appended to the journal.', unit: 'Bps' }, [
          [`rate(${at('deepdefense_journal_bytes_total')}[$__rate_interval])`, '{{instance}}'],
        ]),
        heatmap(
          { title: 'Time until lines are durable', description: 'Forced to the disk, or acknowledged by NATS.', unit: 's' },
          `sum by (le) (rate(${at('deepdefense_journal_sync_seconds_bucket')}[$__rate_interval]))`,
        ),
        lines({ title: 'Number of the last line', description: 'Of the whole journal.', unit: 'none' }, [
          [at('deepdefense_journal_sequence'), '{{instance}}'],
        ]),
      ],
    },
    {
      title: 'Checkpoints',
      panels: [
        lines(
          { title: 'Age of the last checkpoint', description: 'checkpoint.everySeconds is 10 by default.', unit: 's' },
          [[`time() - (${ofRun('deepdefense_last_checkpoint_timestamp_seconds')} > 0)`, '{{run}}']],
          { width: 8 },
        ),
        lines(
          { title: 'Time to write one', description: 'Mean.', unit: 's' },
          [[ofRun('deepdefense_checkpoint_seconds_sum / deepdefense_checkpoint_seconds_count'), '{{run}}']],
          { width: 8 },
        ),
        lines({ title: 'Size', description: 'Of the last one.', unit: 'bytes' }, [[ofRun('deepdefense_checkpoint_bytes'), '{{run}}']], {
          width: 8,
        }),
      ],
    },
  ],
};
