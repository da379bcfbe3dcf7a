/** @file What the `sweep` commands do: from options to the printed result. */
import { join, resolve } from 'node:path';
import { loadSweep, resolveConfig, type SweepSource } from '../../config/index.ts';
import { askByNats, type ControlRequest, fetchSweep, readNatsMark, type SweepPlace } from '../../coordinator/index.ts';
import { DeepDefenseError, EXIT_CODES } from '../../core/index.ts';
import { openDataset } from '../../data/index.ts';
import type { SweepRecord } from '../../sweeps/index.ts';
import type { CommandTools } from '../command-definition.ts';
import type { CommandContext } from '../context.ts';
import { dataProgressPrinter } from '../data-progress.ts';
import type { NatsOptions } from '../../journal/index.ts';
import { createRunId } from '../run-id.ts';
import { askCoordinator, findSweepFolder, readSweep, SWEEPS_FOLDER } from './find-sweep.ts';
import { type NatsFlags, natsOptionsOf } from './nats-options.ts';
import { sweepHere } from './sweep-session.ts';

/** Where the sweep is kept and who waits for whom. */
interface KeepingFlags extends NatsFlags {
  readonly standby?: boolean;
  /** Serves the result of a sweep that is over until a signal comes. */
  readonly stay?: boolean;
}

export interface SweepRunOptions extends KeepingFlags {
  readonly config: string;
  readonly set: readonly string[];
  readonly data?: string;
  readonly out?: string;
  readonly id?: string;
  readonly workers: number;
  readonly maxParallel?: number;
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
}

export interface SweepResumeOptions extends KeepingFlags {
  readonly failed?: 'checkpoint' | 'scratch';
  readonly data?: string;
  readonly workers: number;
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
}

export function sweepFileMissing(): DeepDefenseError {
  return new DeepDefenseError('USAGE', {
    what: 'a sweep needs a sweep file',
    expected: '-c FILE, or one of the commands resume, status, pause, stop, extend, results',
    todo: 'start from examples/sweep-gfa-weights.yaml',
  });
}

/** A new sweep, or with `--out` the one in that folder, or with `--id` the one of that name. */
export async function runSweepCommand(options: SweepRunOptions, tools: CommandTools): Promise<void> {
  const { config: file, data, set, maxParallel } = options;
  const source = await loadSweep({
    file,
    assignments: maxParallel === undefined ? set : [...set, `maxParallel=${maxParallel}`],
    options: data === undefined ? undefined : { data: { path: resolve(data) } },
  });
  const sweepId = options.id ?? createRunId(source.sweep.name);
  const folder = options.out ?? join(source.sweep.sweepsFolder, sweepId);
  await runHere({ source, folder, sweepId, ...options }, source, tools);
}

/** Goes on with a sweep: tells its coordinator to, or starts one. */
export async function runSweepResume(sweep: string, options: SweepResumeOptions, tools: CommandTools): Promise<void> {
  const found = await findSweepFolder(sweep).catch((error: unknown) => {
    // The servers have what a machine lacks.
    if (options.nats === undefined) throw error;
    return undefined;
  });
  if (found === undefined) return resumeFromServers(sweep, options, tools);
  const folder = found;
  const surroundings = tools.context();
  const status =
    options.standby === true ? undefined : await askCoordinator(folder, { action: 'resume', candidates: 0 }, await surroundings.login());
  if (status !== undefined) {
    if (options.failed !== undefined)
      throw new DeepDefenseError('USAGE', {
        what: '--failed needs a sweep that is not running',
        got: `a coordinator runs the sweep in "${folder}"`,
        todo: 'stop it first: deepdefense sweep stop',
      });
    surroundings.result({ folder, ...status }, 'the sweep goes on');
    return;
  }
  const { started, state } = await readSweep(folder);
  const nats = options.nats ?? (await readNatsMark(folder))?.servers;
  const where = nats === undefined ? {} : { nats };
  await runHere(
    { source: undefined, folder, sweepId: started.sweepId, retryFailed: options.failed, ...options, ...where },
    state.source,
    tools,
  );
}

/** Goes on with a sweep that this machine has no folder of. */
async function resumeFromServers(sweepId: string, options: SweepResumeOptions, tools: CommandTools): Promise<void> {
  const nats = natsOptionsOf(options, tools.context().global) as NatsOptions;
  if (options.standby !== true && options.failed === undefined) {
    // Its coordinator may run elsewhere, paused.
    const status = await askByNats(sweepId, { action: 'resume', candidates: 0 }, nats);
    if (status !== undefined) return tools.context().result({ sweep: sweepId, ...status }, 'the sweep goes on');
  }
  const folder = join(SWEEPS_FOLDER, sweepId);
  const source = await fetchSweep(sweepId, nats);
  await runHere({ source, folder, sweepId, retryFailed: options.failed, ...options }, source, tools);
}

interface RunHere extends KeepingFlags {
  /** What is compared with the folder's journal. */
  readonly source: SweepSource | undefined;
  readonly folder: string;
  readonly sweepId: string;
  readonly retryFailed?: 'checkpoint' | 'scratch' | undefined;
  readonly data?: string;
  readonly workers: number;
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
}

async function runHere(options: RunHere, definition: SweepSource, { context, setExitCode }: CommandTools): Promise<void> {
  const surroundings = context();
  const { folder, data, workers } = options;
  const dataset = await datasetOf(definition, data, surroundings);
  const path = data ?? dataset.path;
  const { record, interrupted } = await sweepHere({
    ...options,
    context: surroundings,
    dataset,
    workers,
    workerArgs: path === undefined ? [] : ['--data', resolve(path)],
  });
  const { formatSweep, writeSweepReport } = await loadReports();
  const [page] = await writeSweepReport(record, folder);
  const lines = [formatSweep(record, { frontOnly: true }), `report ${page}`, `sweep folder ${folder}`];
  if (record.state === 'stopped') lines.push(`stopped; go on with: deepdefense sweep resume ${folder}`);
  surroundings.result({ folder, ...record }, lines.join('\n'));
  if (interrupted) setExitCode(EXIT_CODES.INTERRUPTED);
  if (options.stay === true && record.state === 'completed') {
    const { stay } = await import('../stay.ts');
    const { metricsOfSweep } = await import('../../coordinator/index.ts');
    const { state } = await readSweep(folder);
    const reason = `completed, ${measurementsIn(record)} measurements, decisions ${record.decisionsSha256.slice(0, 12)}`;
    const scrape = metricsOfSweep(record.sweepId, state);
    await stay({ context: surroundings, host: options.host, httpPort: options.httpPort, reason, result: record, scrape });
  }
}

/** The dataset's name and content, without keeping it: only workers need it. */
async function datasetOf(
  { sweep, base }: SweepSource,
  data: string | undefined,
  surroundings: Parameters<typeof dataProgressPrinter>[0],
): Promise<{ readonly name: string; readonly contentHash: string; readonly path: string | undefined }> {
  if (sweep.function !== undefined) return { name: '', contentHash: '', path: undefined };
  const config = resolveConfig(base).data;
  const path = data ?? config.path;
  const { name, contentHash } = await openDataset({
    source: config.source,
    path,
    label: config.label,
    onProgress: dataProgressPrinter(surroundings),
  });
  return { name, contentHash, path };
}

/** `status`, `pause` and `stop`, which a running coordinator answers. */
export async function runSweepControl(
  sweep: string,
  action: 'status' | 'pause' | 'stop',
  flags: NatsFlags,
  { context }: CommandTools,
): Promise<void> {
  const surroundings = context();
  const folder = await folderOrServers(sweep, flags);
  const status = await ask(sweep, folder, { action, candidates: 0 }, flags, surroundings);
  if (status === undefined && (action !== 'status' || folder === undefined))
    throw new DeepDefenseError('CONNECT_FAILED', {
      what: `no coordinator runs the sweep ${folder === undefined ? `"${sweep}"` : `in "${folder}"`}`,
      todo: 'nothing is to be stopped; `deepdefense sweep resume` starts one',
    });
  if (folder === undefined) {
    surroundings.result({ sweep, running: true, coordinator: status }, `${sweep}: ${JSON.stringify(status)}`);
    return;
  }
  const { record } = await readSweep(folder);
  const state = status === undefined && record.state === 'running' ? 'interrupted' : record.state;
  const counts = countsOf(record);
  surroundings.result(
    { folder, state, running: status !== undefined, candidates: counts, measurements: measurementsIn(record), coordinator: status ?? null },
    `${record.sweepId}: ${state}${status === undefined ? ', no coordinator' : ''}\n${describeCounts(counts)}, ${measurementsIn(record)} measurements`,
  );
}

/** More candidates: asked of the running coordinator, or written down for the next one. */
export async function runSweepExtend(sweep: string, candidates: number, flags: NatsFlags, tools: CommandTools): Promise<void> {
  await change(sweep, { action: 'extend', candidates }, flags, tools, 'extended', async (place) => {
    const { extendSweep } = await import('../../coordinator/index.ts');
    await extendSweep(place, candidates);
  });
}

/** Another priority: asked of the running coordinator, or written down for the next one. */
export async function runSweepPriority(sweep: string, priority: number, flags: NatsFlags, tools: CommandTools): Promise<void> {
  await change(sweep, { action: 'priority', candidates: 0, priority }, flags, tools, `priority ${priority}`, async (place) => {
    const { prioritiseSweep } = await import('../../coordinator/index.ts');
    await prioritiseSweep(place, priority);
  });
}

async function change(
  sweep: string,
  request: ControlRequest,
  flags: NatsFlags,
  { context }: CommandTools,
  done: string,
  write: (place: SweepPlace) => Promise<void>,
): Promise<void> {
  const surroundings = context();
  const found = await folderOrServers(sweep, flags);
  const folder = found ?? join(SWEEPS_FOLDER, sweep);
  const status = await ask(sweep, found, request, flags, surroundings);
  if (status === undefined) {
    const mark = found === undefined ? { servers: flags.nats as string, sweepId: sweep } : await readNatsMark(folder);
    const nats = mark === undefined ? undefined : natsOptionsOf({ ...flags, nats: flags.nats ?? mark.servers }, surroundings.global);
    await write({ folder, sweepId: mark?.sweepId ?? '', nats });
  }
  const running = status !== undefined;
  surroundings.result({ folder, ...request, running }, running ? done : `${done}; go on with: deepdefense sweep resume ${folder}`);
}

/** @returns undefined when this machine has no folder of the sweep, and there are servers to ask */
async function folderOrServers(sweep: string, { nats }: NatsFlags): Promise<string | undefined> {
  return findSweepFolder(sweep).catch((error: unknown) => {
    if (nats === undefined) throw error;
    return undefined;
  });
}

/** Asks the coordinator of a sweep that is here, or on the servers. @returns its status; undefined when none runs */
async function ask(
  sweep: string,
  folder: string | undefined,
  request: ControlRequest,
  flags: NatsFlags,
  context: CommandContext,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (folder !== undefined) return askCoordinator(folder, request, await context.login());
  return askByNats(sweep, request, natsOptionsOf(flags, context.global) as NatsOptions);
}

/** All figures of a sweep, so far; writes its report anew. */
export async function runSweepResults(
  sweep: string,
  { baseline }: { readonly baseline?: number },
  { context }: CommandTools,
): Promise<void> {
  const folder = await findSweepFolder(sweep);
  const { record } = await readSweep(folder);
  const options = baseline === undefined ? {} : { baseline };
  const { formatSweep, writeSweepReport } = await loadReports();
  const [page, table] = await writeSweepReport(record, folder, options);
  context().result({ ...record, page, table }, `${formatSweep(record, options)}\nreport ${page}`);
}

/** The Pareto front, or of one objective the best candidate. */
export async function runSweepBest(sweep: string, { context }: CommandTools): Promise<void> {
  const { record } = await readSweep(await findSweepFolder(sweep));
  const { analyseSweep, formatSweep } = await loadReports();
  const { pareto, warnings } = analyseSweep(record);
  const { sweepId, objectives, seeds } = record;
  const document = {
    sweepId,
    objectives,
    seeds,
    rung: pareto?.rung ?? null,
    front: pareto?.front ?? [],
    knee: pareto?.knee ?? null,
    warnings,
  };
  context().result(document, formatSweep(record, { frontOnly: true }));
}

function measurementsIn({ candidates }: SweepRecord): number {
  return candidates.reduce((sum, { measurements }) => sum + measurements.length, 0);
}

function countsOf({ candidates }: SweepRecord): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of candidates) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

function describeCounts(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([state, count]) => `${count} ${state}`);
  return parts.length === 0 ? 'no candidates' : `candidates: ${parts.join(', ')}`;
}

/** Late: charts take a second to load, and most commands draw none. */
function loadReports(): Promise<typeof import('../../reports/index.ts')> {
  return import('../../reports/index.ts');
}
