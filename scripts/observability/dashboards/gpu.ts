/** @file Dashboard of GPUs: dcgm-exporter's figures, joined by pod with what our workers compute. */
import { type DashboardText, INSTANCE } from './dashboard.ts';
import { lines, stat, table } from './panels.ts';

/** GPUs of pods in which one of our workers runs. */
const ours = (metric: string): string =>
  `${metric} * on (namespace, pod) group_left (engine) max by (namespace, pod, engine) (deepdefense_worker_device_info{instance=~"$instance"})`;

export const GPU_DASHBOARD: DashboardText = {
  uid: 'deepdefense-gpu',
  title: 'deepdefense / GPU',
  description:
    'GPUs of our workers. Needs dcgm-exporter with the names of pods, as it has them in Kubernetes; elsewhere only the last row has data.',
  variables: [INSTANCE],
  rows: [
    {
      title: 'Now',
      panels: [
        stat({ title: 'GPUs at work', description: 'Of our workers.', unit: 'none' }, [[`count(${ours('DCGM_FI_DEV_GPU_UTIL')})`, 'GPUs']]),
        stat({ title: 'Utilisation', description: 'Mean.', unit: 'percent' }, [[`avg(${ours('DCGM_FI_DEV_GPU_UTIL')})`, 'mean']], {
          values: [30, 60],
          rising: false,
        }),
        stat({ title: 'Power', description: 'Of all.', unit: 'watt' }, [[`sum(${ours('DCGM_FI_DEV_POWER_USAGE')})`, 'all']]),
        stat({ title: 'Hottest', description: 'GPU.', unit: 'celsius' }, [[`max(${ours('DCGM_FI_DEV_GPU_TEMP')})`, 'hottest']], {
          values: [75, 85],
          rising: true,
        }),
        stat(
          { title: 'XID errors', description: 'Largest last error; 0 is right.', unit: 'none' },
          [[`max(${ours('DCGM_FI_DEV_XID_ERRORS')})`, 'XID']],
          {
            values: [1, 1],
            rising: true,
          },
        ),
      ],
    },
    {
      title: 'GPUs of workers (dcgm-exporter)',
      panels: [
        lines({ title: 'Utilisation', description: 'Share of time with a kernel at work.', unit: 'percent' }, [
          [ours('DCGM_FI_DEV_GPU_UTIL'), '{{pod}} GPU {{gpu}} {{engine}}'],
          [ours('DCGM_FI_DEV_MEM_COPY_UTIL'), '{{pod}} GPU {{gpu}} memory'],
        ]),
        lines(
          { title: 'Memory used', description: 'Share.', unit: 'percentunit' },
          [[`(${ours('DCGM_FI_DEV_FB_USED')}) / (${ours('(DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)')})`, '{{pod}} GPU {{gpu}}']],
          { max: 1 },
        ),
        lines({ title: 'Power', description: 'By GPU.', unit: 'watt' }, [[ours('DCGM_FI_DEV_POWER_USAGE'), '{{pod}} GPU {{gpu}}']]),
        lines({ title: 'Clock', description: 'Of the multiprocessors, in MHz; falls when it gets too hot.', unit: 'none' }, [
          [ours('DCGM_FI_DEV_SM_CLOCK'), '{{pod}} GPU {{gpu}}'],
        ]),
      ],
    },
    {
      title: 'What is computed',
      panels: [
        table(
          { title: 'Devices', description: 'Engine and device of each worker.', unit: 'none' },
          [['deepdefense_worker_device_info{instance=~"$instance"}', 'present']],
          12,
        ),
        lines({ title: 'Samples a second by engine', description: 'Of all workers.', unit: 'short' }, [
          [
            'sum by (engine) (rate(deepdefense_worker_samples_total{instance=~"$instance"}[$__rate_interval]) * on (job, instance) group_left (engine) deepdefense_worker_device_info)',
            '{{engine}}',
          ],
        ]),
      ],
    },
  ],
};
