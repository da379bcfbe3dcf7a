/** @file Dashboard of sweeps and of the workers that serve them. */
import { type DashboardText, INSTANCE, ofSweep, SWEEP } from './dashboard.ts';
import { heatmap, lines, stat, table } from './panels.ts';

const at = (metric: string): string => `${metric}{instance=~"$instance"}`;

export const SWEEP_DASHBOARD: DashboardText = {
  uid: 'deepdefense-sweep',
  title: 'deepdefense / Sweep',
  description: 'Candidates, rungs, queue and workers of sweeps.',
  variables: [SWEEP, INSTANCE],
  rows: [
    {
      title: 'Now',
      panels: [
        stat({ title: 'Candidates', description: 'Chosen so far, of those that the sweep may have.', unit: 'percentunit' }, [
          [ofSweep('sum without (state) (deepdefense_sweep_candidates) / deepdefense_sweep_candidate_budget'), '{{sweep}}'],
        ]),
        stat(
          { title: 'Expected to take', description: 'At the present rate; rough until trials have gone beyond the first rung.', unit: 's' },
          [['sweep:deepdefense_sweep_remaining_seconds:max{sweep=~"$sweep"}', '{{sweep}}']],
        ),
        stat({ title: 'Measurements', description: 'All rungs, failed ones included.', unit: 'none' }, [
          ['sweep:deepdefense_sweep_measurements:sum{sweep=~"$sweep"}', '{{sweep}}'],
        ]),
        stat(
          { title: 'Failed', description: 'Share of measurements.', unit: 'percentunit' },
          [['sweep:deepdefense_sweep_failed_measurements:ratio{sweep=~"$sweep"}', '{{sweep}}']],
          { values: [0.05, 0.2], rising: true },
        ),
        stat(
          { title: 'Oldest waiting', description: 'Age of the part of a trial that has waited longest for a worker.', unit: 's' },
          [[ofSweep('deepdefense_sweep_oldest_waiting_seconds'), '{{sweep}}']],
          { values: [1800, 3600], rising: true },
        ),
        stat(
          { title: 'Paused', description: '1 while somebody has paused the sweep.', unit: 'none' },
          [[ofSweep('deepdefense_sweep_paused'), '{{sweep}}']],
          { values: [0.5, 2], rising: true },
        ),
      ],
    },
    {
      title: 'Results',
      panels: [
        lines(
          { title: 'Candidates by state', description: 'paused = waits for the decision of the scheduler.', unit: 'none' },
          [[`sum by (sweep, state) (${ofSweep('deepdefense_sweep_candidates')})`, '{{state}}']],
          { stacked: true },
        ),
        lines({ title: 'Measurements by rung', description: 'A funnel: fewer on higher rungs.', unit: 'none' }, [
          [`sum by (sweep, rung) (${ofSweep('deepdefense_sweep_measurements')})`, '{{sweep}} rung {{rung}}'],
        ]),
        lines(
          { title: 'Best single value', description: 'By objective and rung; it flatters, intervals are in the report.', unit: 'short' },
          [[ofSweep('deepdefense_sweep_best_value'), '{{sweep}} {{objective}} rung {{rung}}']],
        ),
        heatmap(
          { title: 'Time of a part of a trial', description: 'Training and attacks; points are exemplars with the trial.', unit: 's' },
          `sum by (le) (${ofSweep('rate(deepdefense_sweep_measurement_seconds_bucket[$__rate_interval])')})`,
        ),
        table(
          { title: 'Sweeps', description: 'What the sweeps are.', unit: 'none' },
          [['deepdefense_sweep_info{sweep=~"$sweep"}', 'present']],
          12,
        ),
        lines(
          {
            title: 'Coordinators so far',
            description: 'Each start or take-over by a standby adds one. And processes that stand by.',
            unit: 'none',
          },
          [
            [ofSweep('deepdefense_sweep_generation'), '{{sweep}}'],
            ['sum by (sweep) (deepdefense_sweep_standby{sweep=~"$sweep"})', '{{sweep}} standing by'],
          ],
        ),
      ],
    },
    {
      title: 'Queue',
      panels: [
        lines(
          { title: 'Parts of trials', description: 'Waiting for a worker, and claimed by one.', unit: 'none' },
          [[`sum by (sweep, state) (${ofSweep('deepdefense_sweep_tasks')})`, '{{sweep}} {{state}}']],
          { stacked: true, width: 8 },
        ),
        lines(
          { title: 'Ends of claims', description: 'A minute, by outcome.', unit: 'short' },
          [
            [
              `60 * sum by (sweep, outcome) (${ofSweep('rate(deepdefense_sweep_claims_total[$__rate_interval])')})`,
              '{{sweep}} {{outcome}}',
            ],
          ],
          { width: 8 },
        ),
        lines(
          {
            title: 'Again and in vain',
            description: 'Within 30 minutes: redeliveries, stale calls, workers that fell silent.',
            unit: 'none',
          },
          [
            [ofSweep('increase(deepdefense_sweep_redeliveries_total[30m])'), '{{sweep}} redelivered'],
            [ofSweep('increase(deepdefense_sweep_stale_claims_total[30m])'), '{{sweep}} stale calls'],
            [ofSweep('increase(deepdefense_sweep_workers_lost_total[30m])'), '{{sweep}} workers lost'],
          ],
          { width: 8 },
        ),
      ],
    },
    {
      title: 'Workers of sweeps',
      panels: [
        lines(
          { title: 'Time of workers', description: 'Workers by what they do; idle ones wait for a trial.', unit: 'short' },
          [[`sum by (state) (rate(${at('deepdefense_sweep_worker_seconds_total')}[$__rate_interval]))`, '{{state}}']],
          { stacked: true },
        ),
        lines({ title: 'Parts of trials that ended', description: 'A minute, by outcome.', unit: 'short' }, [
          [`60 * sum by (outcome) (rate(${at('deepdefense_sweep_worker_trials_total')}[$__rate_interval]))`, '{{outcome}}'],
        ]),
        lines({ title: 'Trial under way', description: 'Time since its claim.', unit: 's' }, [
          [at('deepdefense_sweep_worker_current_trial_seconds'), '{{instance}}'],
        ]),
        lines({ title: 'Trial from claim to commit', description: 'Mean of workers.', unit: 's' }, [
          [
            `rate(${at('deepdefense_sweep_worker_trial_seconds_sum')}[$__rate_interval]) / rate(${at('deepdefense_sweep_worker_trial_seconds_count')}[$__rate_interval])`,
            '{{instance}}',
          ],
        ]),
        lines({ title: 'Wait for a trial', description: '90th percentile.', unit: 's' }, [
          [
            `histogram_quantile(0.9, sum by (le) (rate(${at('deepdefense_sweep_worker_claim_wait_seconds_bucket')}[$__rate_interval])))`,
            'all workers',
          ],
        ]),
        lines({ title: 'Sweeps served', description: 'By worker.', unit: 'none' }, [
          [at('deepdefense_sweep_worker_sweeps'), '{{instance}}'],
        ]),
      ],
    },
  ],
};
