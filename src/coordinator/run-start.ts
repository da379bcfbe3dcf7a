/** @file How a run begins, as its journal, its metrics and its watchers hear of it: anew, with the state of another run, or where it ended. */
import { parameterSpecs } from '../config/index.ts';
import { PACKAGE_VERSION, RUN_FORMAT } from '../core/index.ts';
import type { JournalRecord } from '../journal/index.ts';
import { schemaHash } from '../wire/index.ts';
import { type Checkpoint, parametersHash } from './checkpoint.ts';
import type { RunContext } from './run-context.ts';
import type { ForkPoint } from './run-events.ts';

/** What a process begins with. */
export interface RunStart {
  readonly runFolder: string;
  readonly dataset: { readonly name: string; readonly contentHash: string };
  /** The run goes on from here; undefined for a run that is new or begins again. */
  readonly resume?: Checkpoint | undefined;
  /** State of another run that a new one begins with. */
  readonly fork?: Checkpoint | undefined;
}

/** @param fresh of a new run; undefined when the run goes on */
export function recordStart(
  { config, plan, state, pool, ledger, metrics, emit, runId }: RunContext,
  { runFolder, dataset, resume, fork }: RunStart,
  fresh: { readonly sampleHashesSha256: string } | undefined,
): void {
  if (fresh !== undefined) {
    ledger.record({
      type: 'run-started',
      format: RUN_FORMAT,
      runId,
      packageVersion: PACKAGE_VERSION,
      config: config as unknown as Readonly<Record<string, unknown>>,
      totalSteps: plan.totalSteps,
      samplesPerEpoch: plan.samplesPerEpoch,
      datasetName: dataset.name,
      datasetHash: dataset.contentHash,
      ...fresh,
      schemaHash: schemaHash(parameterSpecs(config.model)),
    });
    const forked = forkPointOf(fork, []);
    if (forked !== undefined) {
      const { runId: fromRun, ...at } = forked;
      ledger.record({ type: 'run-forked', fromRun, ...at });
    }
  } else {
    const checkpoint = resume === undefined ? '' : `checkpoints/step-${String(resume.step).padStart(8, '0')}.safetensors`;
    ledger.record({ type: 'run-resumed', fromStep: resume?.step ?? 0, checkpoint, goodput: pool.goodputSoFar() });
  }
  metrics.runInfo.set(
    { run: runId, strategy: config.strategy.name, model: config.model.name, dataset: dataset.name, engine: config.engine.name },
    1,
  );
  metrics.plannedSteps.set(plan.totalSteps);
  metrics.step.set(state.step);
  emit({ kind: 'started', runId, runFolder, totalSteps: plan.totalSteps, firstStep: state.step, samplesPerEpoch: plan.samplesPerEpoch });
}

/** Where a run began, if not with its seed: now, or in an earlier process. */
export function forkPointOf(fork: Checkpoint | undefined, records: readonly JournalRecord[]): ForkPoint | undefined {
  if (fork !== undefined) return { runId: fork.runId, step: fork.step, parametersSha256: parametersHash(fork.parameters) };
  // It stands before the first step; a look at all records would decode a million of them.
  for (const { event } of records) {
    if (event.type === 'run-forked') return { runId: event.fromRun, step: event.step, parametersSha256: event.parametersSha256 };
    if (event.type === 'step-committed') return undefined;
  }
  return undefined;
}
