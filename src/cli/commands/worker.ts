/** @file `worker`: computes for a coordinator. */
import { InvalidArgumentError, Option } from 'commander';
import { DeepDefenseError, EXIT_CODES, type EngineWish } from '../../core/index.ts';
import type { CommandDefinition } from '../command-definition.ts';
import { engineOption, httpPortOption, natsCredentialsOption, natsOption, natsPatienceOption } from '../config-options.ts';
import { hostAndPort, integerIn, isHostAndPort } from '../option-parsers.ts';
import { type NatsFlags, natsArguments, passOnLogin } from '../sweep/nats-options.ts';
import type { SweepShare } from '../sweep/sweep-worker.ts';

interface WorkerOptions extends NatsFlags {
  readonly coordinator?: string;
  readonly sweep?: readonly SweepShare[];
  readonly trialsFolder?: string;
  readonly idleSeconds?: number;
  readonly data?: string;
  readonly httpPort: number;
  readonly httpHost: string;
  readonly engine?: EngineWish;
  readonly device?: number;
  readonly devices?: string;
  readonly stopWithParent: boolean;
  readonly stopCode: number;
}

export const workerCommand: CommandDefinition = (program, { context, setExitCode }) => {
  program
    .command('worker')
    .description('compute for a coordinator; start any number, on any machine, at any time of the run')
    .option('--coordinator <host:port>', 'address of the coordinator of a run or an evaluation', hostAndPort)
    .option(
      '--sweep <host:port[=weight]>',
      "address of the coordinator of a sweep, in place of --coordinator; with --nats the sweep's id, or a pattern as '*' or 'team-a-*' for all that are there, now and later. Several share the worker's time by weight (default: the sweep's priority)",
      sweepShare,
    )
    .addOption(natsOption())
    .addOption(natsCredentialsOption())
    .addOption(natsPatienceOption())
    .option(
      '--trials-folder <folder>',
      'with --sweep: shared folder for the trials, a folder per sweep in it, where those of the coordinators are not to be reached',
    )
    .option('--idle-seconds <seconds>', 'with --sweep: end when no sweep has had a task for so long', integerIn(1, 86_400))
    .option('--data <path>', 'CIFAR-10 archive or folder; without a matching copy the worker fetches the data from the coordinator')
    .addOption(engineOption('tensor engine for runs that leave it open (engine.name: auto)'))
    .option('--device <index>', "device in place of the run's engine.device", integerIn(0, 1023))
    .option('--devices <list>', 'one worker process per device: "all", or indices separated by commas; on the CPU a device is a core')
    .addOption(
      httpPortOption('port of /metrics, /livez and /readyz; 0 = any free port; with --devices that of the first process').default(0),
    )
    .addOption(new Option('--http-host <host>', 'address of that port').env('DEEPDEFENSE_HTTP_HOST').default('127.0.0.1'))
    .option(
      '--stop-code <code>',
      'exit code when a signal ends the worker before the work is over; for schedulers that take 0 for done',
      integerIn(0, 255),
      0,
    )
    .addOption(new Option('--stop-with-parent', 'end when standard input closes').hideHelp().default(false))
    .addHelpText('after', '\nExample:\n  $ deepdefense worker --coordinator 10.0.0.5:50051 --http-host 0.0.0.0 --http-port 9465')
    .action(
      async ({
        coordinator,
        sweep,
        nats: servers,
        natsCredentials,
        natsPatience,
        trialsFolder,
        idleSeconds,
        data,
        httpPort,
        httpHost,
        engine,
        device,
        devices,
        stopWithParent,
        stopCode,
      }: WorkerOptions) => {
        // Only a sweep is kept on NATS.
        const nats = sweep === undefined ? undefined : servers;
        const flags: NatsFlags = {
          ...(nats !== undefined && { nats }),
          ...(natsCredentials !== undefined && { natsCredentials }),
          ...(natsPatience !== undefined && { natsPatience }),
        };
        if ((sweep === undefined) === (coordinator === undefined)) throw oneAddress();
        const noHost = sweep?.find((each) => nats === undefined && !isHostAndPort(each.sweep));
        if (noHost !== undefined) throw noAddress(noHost.sweep);
        const { requireTensorPackages } = await import('../tensor-packages.ts');
        requireTensorPackages();
        const { runWorker } = await import('../../worker/index.ts');
        const { createMetrics } = await import('../../telemetry/index.ts');
        const surroundings = context();
        const logger = await surroundings.logger('worker');
        // Also for the processes of --devices.
        await surroundings.login();
        const traces = await surroundings.traces('worker', logger);
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
          if (devices !== undefined) {
            if (device !== undefined)
              throw new DeepDefenseError('USAGE', {
                what: "--devices can't be used with --device",
                todo: 'each process of --devices has its own device; start workers one by one to choose them',
              });
            const { placesOf, runPlaces } = await import('../worker-devices.ts');
            const { listDevices } = await import('../../engine/index.ts');
            const places = placesOf(devices, engine ?? 'auto', listDevices);
            passOnLogin(flags);
            const common = [
              ...(coordinator === undefined ? [] : ['--coordinator', coordinator]),
              ...(sweep ?? []).flatMap((each) => ['--sweep', each.weight === undefined ? each.sweep : `${each.sweep}=${each.weight}`]),
              ...['--http-host', httpHost],
              ...natsArguments(flags, surroundings.global),
              ...(data === undefined ? [] : ['--data', data]),
              ...(trialsFolder === undefined ? [] : ['--trials-folder', trialsFolder]),
              ...(idleSeconds === undefined ? [] : ['--idle-seconds', String(idleSeconds)]),
            ];
            const exitCode = await runPlaces(
              places,
              (place, index) => [
                ...['--http-port', String(httpPort === 0 ? 0 : httpPort + index)],
                ...common,
                '--engine',
                place.engine,
                '--device',
                String(place.device),
                '--log-level',
                surroundings.global.logLevel,
              ],
              logger,
              stop.signal,
            );
            surroundings.result({ exitCode, places }, `worker: ${places.length} processes ended, exit code ${exitCode}`);
            setExitCode(exitCode);
            return;
          }
          if (sweep !== undefined) {
            const { runSweepWorker } = await import('../sweep/sweep-worker.ts');
            const placement = { engine, device };
            const tasks = await runSweepWorker({
              sweeps: sweep,
              loadLogin: () => surroundings.login(),
              security: surroundings.global,
              ...flags,
              dataPath: data,
              trialsFolder,
              idleSeconds,
              placement,
              logger,
              traces,
              httpHost,
              httpPort,
              signal: stop.signal,
            });
            surroundings.result({ tasks }, `worker: ${tasks} tasks done`);
            return;
          }
          const exitReason = await runWorker({
            traces,
            coordinatorAddress: coordinator as string,
            loadLogin: () => surroundings.login(),
            dataOptions: data === undefined ? {} : { path: data },
            placement: { engine, device },
            logger,
            metrics: createMetrics('worker'),
            httpHost,
            httpPort,
            signal: stop.signal,
          });
          surroundings.result({ exitReason }, `worker: ${exitReason}`);
        } finally {
          if (stop.signal.aborted && stopCode !== 0) setExitCode(stopCode);
          process.removeListener('SIGINT', onSignal);
          process.removeListener('SIGTERM', onSignal);
          process.stdin.pause();
          await traces.close();
        }
      },
    );
};

/** `ADDRESS` or `ADDRESS=WEIGHT`, collected. */
function sweepShare(text: string, before: readonly SweepShare[] = []): readonly SweepShare[] {
  const [sweep = '', weight, ...rest] = text.split('=');
  const isWeight = weight === undefined || (weight.trim() !== '' && Number(weight) > 0 && Number.isFinite(Number(weight)));
  if (sweep === '' || !isWeight || rest.length > 0)
    throw new InvalidArgumentError(`expected HOST:PORT or an id, with or without =WEIGHT above 0, got "${text}"`);
  if (before.some((each) => each.sweep === sweep)) throw new InvalidArgumentError(`"${sweep}" is named twice`);
  return [...before, { sweep, weight: weight === undefined ? undefined : Number(weight) }];
}

function noAddress(sweep: string): DeepDefenseError {
  return new DeepDefenseError('USAGE', {
    what: 'bad --sweep',
    expected: 'HOST:PORT of a coordinator, for example 127.0.0.1:50052',
    got: `"${sweep}"`,
    todo: 'for the id of a sweep on NATS give --nats, too',
  });
}

function oneAddress(): DeepDefenseError {
  return new DeepDefenseError('USAGE', {
    what: 'a worker works for one coordinator',
    expected: 'either --coordinator HOST:PORT of a run or an evaluation, or --sweep HOST:PORT of a sweep',
  });
}
