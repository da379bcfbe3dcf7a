/** @file `worker`: computes for a coordinator. */
import { Option } from 'commander';
import { EXIT_CODES } from '../../core/index.ts';
import type { CommandDefinition } from '../command-definition.ts';
import { hostAndPort, integerIn } from '../option-parsers.ts';

interface WorkerOptions {
  readonly coordinator: string;
  readonly data?: string;
  readonly httpPort: number;
  readonly httpHost: string;
  readonly stopWithParent: boolean;
}

export const workerCommand: CommandDefinition = (program, { context }) => {
  program
    .command('worker')
    .description('compute for a coordinator; start any number, on any machine, at any time of the run')
    .requiredOption('--coordinator <host:port>', 'address of the coordinator', hostAndPort)
    .option('--data <path>', 'CIFAR-10 archive or folder; without a matching copy the worker fetches the data from the coordinator')
    .option('--http-port <port>', 'port of /metrics, /livez and /readyz; 0 = any free port', integerIn(0, 65535), 0)
    .option('--http-host <host>', 'address of that port', '127.0.0.1')
    .addOption(new Option('--stop-with-parent', 'end when standard input closes').hideHelp().default(false))
    .addHelpText('after', '\nExample:\n  $ deepdefense worker --coordinator 10.0.0.5:50051 --http-host 0.0.0.0 --http-port 9465')
    .action(async ({ coordinator, data, httpPort, httpHost, stopWithParent }: WorkerOptions) => {
      const { runWorker } = await import('../../worker/index.ts');
      const { createMetrics } = await import('../../telemetry/index.ts');
      const surroundings = context();
      const logger = await surroundings.logger();
      const stop = new AbortController();
      const onSignal = (signal: NodeJS.Signals): void => {
        if (stop.signal.aborted) process.exit(EXIT_CODES.INTERRUPTED);
        stop.abort(new Error(`received ${signal}`));
      };
      process.on('SIGINT', onSignal);
      process.on('SIGTERM', onSignal);
      // The parent holds the other end of the pipe; the kernel closes it even when the parent is killed.
      if (stopWithParent) process.stdin.resume().once('end', () => process.exit(EXIT_CODES.OK));
      try {
        const exitReason = await runWorker({
          coordinatorAddress: coordinator,
          dataOptions: data === undefined ? {} : { path: data },
          logger,
          metrics: createMetrics('worker'),
          httpHost,
          httpPort,
          signal: stop.signal,
        });
        surroundings.result({ exitReason }, `worker: ${exitReason}`);
      } finally {
        process.removeListener('SIGINT', onSignal);
        process.removeListener('SIGTERM', onSignal);
        process.stdin.pause();
      }
    });
};
