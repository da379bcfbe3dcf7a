/** @file The options that commands share to name a config and its data. */
import { type Command, Option } from 'commander';
import type { Config, ConfigInput } from '../config/index.ts';
import { ENGINE_NAMES, type EngineWish } from '../core/index.ts';
import { collect } from './command-definition.ts';
import { integerFrom, integerIn } from './option-parsers.ts';
import { HTTP_PORT_VARIABLE } from './worker-processes.ts';

/** Parsed values of {@link addConfigOptions} and {@link addClusterOptions}. */
export interface ConfigOptions {
  readonly config?: string;
  readonly preset?: string;
  readonly set: readonly string[];
  readonly data?: string;
  readonly engine?: EngineWish;
  readonly device?: number;
  readonly minWorkers?: number;
  readonly maxWorkers?: number;
  readonly httpPort?: number;
}

/** Adds `-c`, `--preset`, `--set`, `--data`, `--engine` and `--device`. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'config file in YAML, see docs/configuration.md')
    .option('--preset <name>', 'named config to start from, below the file (`config presets` lists them)')
    .option('--set <key=value>', 'override one key, for example --set train.maxSteps=100; repeatable', collect, [])
    .option('--data <path>', 'CIFAR-10: official archive or unpacked folder (else DEEPDEFENSE_DATA, the cache, a download)')
    .addOption(engineOption())
    .option('--device <index>', 'device of that engine, see `deepdefense doctor`; short for --set engine.device', integerIn(0, 1023));
}

/** `--http-port` of a process of its own; containers have a fixed one. */
export function httpPortOption(description = 'port of /metrics, /livez and /readyz; 0 = any free port'): Option {
  return new Option('--http-port <port>', description).env(HTTP_PORT_VARIABLE).argParser(integerIn(0, 65535));
}

/** Adds `--min-workers`, `--max-workers` and `--http-port`. */
export function addClusterOptions(command: Command): Command {
  return command
    .addOption(httpPortOption('port of /metrics, /livez and /readyz; short for --set cluster.httpPort'))
    .option('--min-workers <count>', 'steps wait until so many are ready; short for --set cluster.minWorkers', integerFrom(1))
    .option(
      '--max-workers <count>',
      'at most so many compute at a time, further ones are spares; short for --set cluster.maxWorkers',
      integerFrom(1),
    );
}

/** `--engine`. */
export function engineOption(description = 'tensor engine, see `deepdefense doctor`; short for --set engine.name'): Option {
  return new Option('--engine <name>', description).choices(['auto', ...ENGINE_NAMES]);
}

/** Loads the config that the options name. */
export async function configFromOptions({
  config,
  preset,
  set,
  data,
  engine,
  device,
  minWorkers,
  maxWorkers,
  httpPort,
}: ConfigOptions): Promise<Config> {
  const { loadConfig } = await import('../config/index.ts');
  const options: ConfigInput = {
    ...(data !== undefined && { data: { path: data } }),
    ...((engine !== undefined || device !== undefined) && {
      engine: { ...(engine !== undefined && { name: engine }), ...(device !== undefined && { device }) },
    }),
    ...clusterOf({ minWorkers, maxWorkers, httpPort }),
  };
  return loadConfig({ file: config, preset, options, assignments: set });
}

/** The part of the config that {@link addClusterOptions} sets. */
export function clusterOf(
  options: {
    readonly [Key in 'minWorkers' | 'maxWorkers' | 'httpPort']?: number | undefined;
  },
): Pick<ConfigInput, 'cluster'> {
  const { minWorkers, maxWorkers, httpPort } = options;
  const cluster = {
    ...(minWorkers !== undefined && { minWorkers }),
    ...(maxWorkers !== undefined && { maxWorkers }),
    ...(httpPort !== undefined && { httpPort }),
  };
  return Object.keys(cluster).length === 0 ? {} : { cluster };
}

/** Servers that keep a sweep. */
export function natsOption(): Option {
  return new Option(
    '--nats <servers>',
    'NATS servers with JetStream that keep the sweep: nats://HOST:PORT, or tls://HOST:PORT with --certs; several with commas',
  ).env('DEEPDEFENSE_NATS');
}

export function natsCredentialsOption(): Option {
  return new Option('--nats-credentials <file>', 'credentials file (JWT and seed) for NATS').env('DEEPDEFENSE_NATS_CREDENTIALS');
}

export function natsPatienceOption(): Option {
  return new Option(
    '--nats-patience <seconds>',
    'how long the NATS servers may be away before the process ends with exit code 7; default 60',
  )
    .argParser(integerIn(1, 86_400))
    .env('DEEPDEFENSE_NATS_PATIENCE');
}

export function natsReplicasOption(): Option {
  return new Option('--nats-replicas <count>', 'copies of what a new sweep keeps on NATS, each on another server of the cluster')
    .argParser(integerIn(1, 5))
    .env('DEEPDEFENSE_NATS_REPLICAS');
}
