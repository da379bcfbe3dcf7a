/** @file Dashboard of one or several training runs: progress, loss, accuracy, where the time of a step goes. */
import { type DashboardText, ofRun, RUN } from './dashboard.ts';
import { heatmap, lines, signedLines, stat, table } from './panels.ts';

export const RUN_DASHBOARD: DashboardText = {
  uid: 'deepdefense-run',
  title: 'deepdefense / Run',
  description: 'Progress, loss and accuracy of training runs, and where the time of a step goes.',
  variables: [RUN],
  rows: [
    {
      title: 'Now',
      panels: [
        stat({ title: 'Progress', description: 'Committed steps of those planned.', unit: 'percentunit' }, [
          [ofRun('deepdefense_step / deepdefense_planned_steps'), '{{run}}'],
        ]),
        stat(
          { title: 'Time left', description: 'Steps to go at the speed of the last five minutes; evaluations not counted.', unit: 's' },
          [['run:deepdefense_remaining_seconds:estimate{run=~"$run"}', '{{run}}']],
        ),
        stat({ title: 'Samples a second', description: 'Over the last steps.', unit: 'short' }, [
          [ofRun('deepdefense_samples_per_second'), '{{run}}'],
        ]),
        stat(
          { title: 'Goodput', description: 'Share of worker time that is computation that counts; last 15 minutes.', unit: 'percentunit' },
          [['run:deepdefense_goodput:ratio_rate15m{run=~"$run"}', '{{run}}']],
          { values: [0.3, 0.5], rising: false },
        ),
        stat({ title: 'Workers', description: 'Ready ones: busy and idle.', unit: 'none' }, [
          ['run:deepdefense_workers:sum{run=~"$run"}', '{{run}}'],
        ]),
        stat(
          { title: 'Last checkpoint', description: 'Age; what a crash of the whole machine would cost.', unit: 's' },
          [[`time() - (${ofRun('deepdefense_last_checkpoint_timestamp_seconds')} > 0)`, '{{run}}']],
          { values: [600, 1800], rising: true },
        ),
      ],
    },
    {
      title: 'Training',
      panels: [
        lines({ title: 'Loss', description: 'Of the last step; with and without the regulariser.', unit: 'short' }, [
          [ofRun('deepdefense_loss'), '{{run}}'],
          [ofRun('deepdefense_loss_term'), '{{run}} without regulariser'],
        ]),
        lines(
          { title: 'Accuracy', description: 'Of training batches, and of the last evaluation by attack and radius.', unit: 'percentunit' },
          [
            [ofRun('deepdefense_accuracy_ratio'), '{{run}} {{attack}} {{eps}}'],
            [ofRun('deepdefense_train_accuracy_ratio'), '{{run}} training'],
          ],
          { max: 1 },
        ),
        lines(
          { title: 'Learning rate', description: 'Of the last step.', unit: 'short' },
          [[ofRun('deepdefense_learning_rate'), '{{run}}']],
          {
            width: 8,
          },
        ),
        lines(
          { title: 'Gradient norm', description: 'Before clipping.', unit: 'short' },
          [[ofRun('deepdefense_gradient_norm'), '{{run}}']],
          {
            width: 8,
          },
        ),
        lines({ title: 'Epoch', description: 'Passes over the training set.', unit: 'short' }, [[ofRun('deepdefense_epoch'), '{{run}}']], {
          width: 8,
        }),
      ],
    },
    {
      title: 'GFA by layer',
      panels: [
        signedLines(
          {
            title: 'Cosine of feature and gradient',
            description: 'Mean over samples; its absolute value dotted beside it.',
            unit: 'short',
          },
          [
            [ofRun('deepdefense_gfa_cosine'), '{{run}} {{layer}}'],
            [ofRun('deepdefense_gfa_abs_cosine'), '{{run}} {{layer}} absolute'],
          ],
        ),
        lines({ title: 'Penalty and gradient norm', description: 'Penalty before its weight.', unit: 'short' }, [
          [ofRun('deepdefense_gfa_term'), '{{run}} {{layer}} penalty'],
          [ofRun('deepdefense_gfa_gradient_norm'), '{{run}} {{layer}} norm'],
        ]),
        lines(
          { title: 'Samples whose gradient vanishes', description: 'Many of them are a sign of gradient masking.', unit: 'percentunit' },
          [[ofRun('deepdefense_gfa_zero_gradient_ratio'), '{{run}} {{layer}}']],
          { max: 1 },
        ),
      ],
    },
    {
      title: 'Steps',
      panels: [
        lines(
          { title: 'Time of a step by phase', description: 'Mean; the phases add up to nearly the whole step.', unit: 's' },
          [
            [
              `sum by (phase) (${ofRun('rate(deepdefense_step_phase_seconds_sum[$__rate_interval])')}) / sum by (phase) (${ofRun('rate(deepdefense_step_phase_seconds_count[$__rate_interval])')})`,
              '{{phase}}',
            ],
          ],
          { stacked: true },
        ),
        heatmap(
          { title: 'Time of a step', description: 'All steps; points are exemplars with run and step.', unit: 's' },
          `sum by (le) (${ofRun('rate(deepdefense_step_seconds_bucket[$__rate_interval])')})`,
        ),
        lines({ title: 'Steps a second', description: 'Committed steps.', unit: 'short' }, [
          [ofRun('rate(deepdefense_steps_total[$__rate_interval])'), '{{run}}'],
          [ofRun('rate(deepdefense_samples_total[$__rate_interval])'), '{{run}} samples'],
        ]),
        lines({ title: 'Median and 99th percentile of a step', description: 'Over five minutes.', unit: 's' }, [
          ['run:deepdefense_step_seconds:p50_rate5m{run=~"$run"}', '{{run}} median'],
          ['run:deepdefense_step_seconds:p99_rate5m{run=~"$run"}', '{{run}} 99th percentile'],
        ]),
        lines({ title: 'Time of evaluations', description: 'Mean by attack.', unit: 's' }, [
          [ofRun('deepdefense_evaluation_seconds_sum / deepdefense_evaluation_seconds_count'), '{{run}} {{attack}}'],
        ]),
        lines({ title: 'Steps refused', description: 'Because loss or gradient was not finite; 0 is right.', unit: 'none' }, [
          [ofRun('deepdefense_nonfinite_total'), '{{run}}'],
        ]),
        lines({ title: 'deepdefense evaluate: units', description: 'Of an evaluation by itself, by state.', unit: 'none' }, [
          ['sum by (instance, state) (deepdefense_evaluation_units)', '{{instance}} {{state}}'],
        ]),
        lines(
          { title: 'deepdefense evaluate: images a second', description: 'An image counts once per attack and network.', unit: 'short' },
          [['rate(deepdefense_evaluation_images_total[$__rate_interval])', '{{instance}}']],
        ),
        table({ title: 'Runs', description: 'What the runs are.', unit: 'none' }, [['deepdefense_run_info{run=~"$run"}', 'present']]),
      ],
    },
  ],
};
