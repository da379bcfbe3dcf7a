/** @file A coordinator to be killed: `coordinator-process.ts RUN_FOLDER PORT`. */
import { join } from 'node:path';
import { loadNewestCheckpoint, startCoordinator } from '../../../src/coordinator/index.ts';
import { isDeepDefenseError } from '../../../src/core/index.ts';
import { createLogger, createMetrics } from '../../../src/telemetry/index.ts';
import { realConfig, tinyDataset } from './cluster.ts';

const [runFolder = '', port = '0'] = process.argv.slice(2);
const config = realConfig({ cluster: { port: Number(port) } });
const resume = await loadNewestCheckpoint(join(runFolder, 'checkpoints'), { config }).then(
  ({ checkpoint }) => checkpoint,
  (error: unknown) => {
    if (isDeepDefenseError(error) && error.code === 'CHECKPOINT_MISSING') return undefined;
    throw error;
  },
);
const handle = await startCoordinator({
  config,
  runFolder,
  runId: 'run-1',
  dataset: tinyDataset,
  resume,
  logger: createLogger({ level: 'info' }),
  metrics: createMetrics('coordinator'),
});
for await (const event of handle.progress) if (event.kind === 'step') process.stdout.write(`step ${event.step}\n`);
process.stdout.write(`weights ${(await handle.result).weightsSha256}\n`);
