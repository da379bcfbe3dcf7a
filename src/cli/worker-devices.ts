/** @file `worker --devices`: one worker process per device, watched and started again by this one. */
import { availableParallelism } from 'node:os';
import { DeepDefenseError, type EngineName, type EngineWish, EXIT_CODES } from '../core/index.ts';
import type { Device, EngineDevices } from '../engine/index.ts';
import type { Logger } from '../telemetry/index.ts';
import { WorkerProcesses } from './worker-processes.ts';

/** Where one process computes. */
export interface Place {
  readonly engine: EngineName;
  readonly device: number;
  readonly name: string;
}

/** Engines whose devices `all` means, the first that has one. */
const BY_PREFERENCE = ['onnx:cuda', 'tensorflow', 'onnx:webgpu', 'onnx:cpu'] as const;

/**
 * The places that `--devices` names.
 * @param wish `all`, or indices separated by commas
 * @param engine `auto` = the first engine with a GPU, else the CPU
 * @param list the devices of an engine
 * @param cores processor cores; an engine on the CPU gets one process per core
 * @throws DeepDefenseError ENGINE_UNAVAILABLE when the engine has no device; USAGE for an index out of range
 */
export function placesOf(
  wish: string,
  engine: EngineWish,
  list: (engine: EngineName) => EngineDevices,
  cores: number = availableParallelism(),
): Place[] {
  const isCpu = (name: EngineName, devices: readonly Device[]): boolean =>
    name === 'onnx:cpu' || name === 'eager' || isProcessor(name, devices);
  const chosen =
    engine === 'auto'
      ? BY_PREFERENCE.map((name) => list(name)).find(
          (found) => found.devices.length > 0 && (found.engine === 'onnx:cpu' || !isCpu(found.engine, found.devices)),
        )
      : list(engine);
  if (chosen === undefined || chosen.devices.length === 0) {
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: `the engine "${engine}" has no device here`,
      ...(chosen?.missing && { got: chosen.missing.reason, todo: chosen.missing.todo }),
    });
  }
  const cpu = isCpu(chosen.engine, chosen.devices);
  const processor = (index: number): Place => ({ engine: chosen.engine, device: 0, name: `core ${index} of ${chosen.devices[0]?.name}` });
  const all: Place[] = cpu
    ? Array.from({ length: cores }, (_, index) => processor(index))
    : chosen.devices.map(({ index, name }) => ({ engine: chosen.engine, device: index, name }));
  if (wish === 'all') return all;
  return wish.split(',').map((text) => {
    const index = Number(text);
    const place =
      text.trim() !== '' && Number.isInteger(index) ? all[cpu ? index : all.findIndex(({ device }) => device === index)] : undefined;
    if (place !== undefined) return place;
    throw new DeepDefenseError('USAGE', {
      what: `--devices names "${text}", which ${chosen.engine} doesn't have here`,
      expected: `"all", or some of ${all.map(({ device }, i) => (cpu ? i : device)).join(', ')} separated by commas`,
      got: `"${wish}"`,
      todo: '`deepdefense doctor` lists the devices',
    });
  });
}

/** TensorFlow without a GPU lists the processor. */
function isProcessor(engine: EngineName, devices: readonly Device[]): boolean {
  return engine === 'tensorflow' && devices.every(({ driver }) => driver === undefined);
}

/** Time that a worker has to hand back its leases. */
const GRACE_MS = 10_000;

/**
 * Runs a worker per place until all have ended.
 * @param argsOf arguments of the worker at a place, after `worker`
 * @param signal aborting asks all to leave
 * @returns the exit code: that of the first worker that failed, else 0
 */
export async function runPlaces(
  places: readonly Place[],
  argsOf: (place: Place, index: number) => readonly string[],
  logger: Logger,
  signal: AbortSignal,
): Promise<number> {
  for (const { engine, name, device } of places) logger.info({ engine, device }, `a worker process for ${name}`);
  const processes = new WorkerProcesses({
    count: places.length,
    args: (worker) => argsOf(places[worker - 1] as Place, worker - 1),
    onExit: ({ worker, exitCode, signal: killedBy, restarts }) => {
      if (exitCode === EXIT_CODES.OK) return;
      logger.warn(
        { device: places[worker - 1]?.name, exitCode, signal: killedBy },
        restarts ? 'a worker process ended; starting it again' : 'a worker process ended for good',
      );
    },
  });
  const aborted = new Promise<'aborted'>((resolve) => {
    if (signal.aborted) resolve('aborted');
    signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
  const outcome = await Promise.race([processes.ended, aborted]);
  if (outcome === 'aborted') {
    await processes.leave(GRACE_MS);
    return EXIT_CODES.OK;
  }
  return (
    outcome.find(({ exitCode }) => exitCode !== EXIT_CODES.OK)?.exitCode ??
    (outcome.some(({ exitCode }) => exitCode === null) ? EXIT_CODES.INTERNAL : EXIT_CODES.OK)
  );
}
