/** @file A worker of a sweep: takes one task after the other, says that it is at it while it works, and brings the result. */
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import type { Claim, TaskSource } from '../queue/index.ts';
import { type LogContext, type Logger, withContext } from '../telemetry/index.ts';
import type { TrialOutcome, WorkClock } from './work-clock.ts';

/**
 * Does one task.
 * @param logger whose lines name the task
 * @param signal aborted when the claim is lost or the worker is asked to leave: the work may end at once, with an error or without
 */
export type TaskRunner = (claim: Claim, signal: AbortSignal, logger: Logger) => Promise<TaskResult>;

export interface TaskResult {
  /** JSON. */
  readonly result: string;
  /** The task ended in a way that is its own doing. */
  readonly diverged: boolean;
}

export interface ClaimLoopOptions {
  readonly source: TaskSource;
  /** Unique per process. */
  readonly worker: string;
  readonly run: TaskRunner;
  readonly logger: Logger;
  /** Told what the loop does. */
  readonly clock?: WorkClock | undefined;
  /** Aborting asks the worker to leave: it gives its task back. */
  readonly signal: AbortSignal;
}

/** A claim is extended so many times per lease, so that one lost call does no harm. */
const EXTENSIONS_PER_LEASE = 4;

/** Codes of errors that trying again can't mend, wherever that is. */
const LASTING: readonly string[] = ['CONFIG_INVALID', 'CONFIG_UNKNOWN_KEY', 'CONFIG_UNKNOWN_LAYER', 'CONFIG_LENGTH_MISMATCH'];

/**
 * Works until there are no more tasks or `signal` is aborted.
 * @returns tasks done
 * @throws DeepDefenseError CONNECT_FAILED when the queue is out of reach for too long
 */
export async function runClaimLoop({ source, worker, run, logger, clock, signal }: ClaimLoopOptions): Promise<number> {
  let done = 0;
  for (;;) {
    const claim = await source.claim(worker, signal);
    if (claim === undefined) return done;
    const { traceparent, ...task } = aboutTask(claim);
    const about = { sweep: claim.sweep, ...task };
    clock?.claimed({ ...about, worker, epoch: claim.epoch }, traceparent);
    if (await runClaim(claim, { run, logger: withContext(logger, () => about), clock, signal })) done += 1;
  }
}

/** What a task is about, and the trace that it belongs to, where its payload says so. */
function aboutTask({ task }: Claim): Pick<LogContext, 'trial' | 'rung'> & { readonly traceparent: string | undefined } {
  const { trial, rung, traceparent } = fieldsOf(task.payload);
  return {
    trial: typeof trial === 'string' ? trial.slice(0, 16) : task.id.slice(0, 16),
    rung: typeof rung === 'number' ? rung : undefined,
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
  };
}

function fieldsOf(payload: string): { readonly trial?: unknown; readonly rung?: unknown; readonly traceparent?: unknown } {
  try {
    return Object(JSON.parse(payload)) as object;
  } catch {
    // Whoever does the task says what is wrong with it.
    return {};
  }
}

async function runClaim(
  claim: Claim,
  { run, logger, clock, signal }: Pick<ClaimLoopOptions, 'run' | 'logger' | 'clock' | 'signal'>,
): Promise<boolean> {
  const { task, epoch } = claim;
  const lost = new AbortController();
  let extending = false;
  const beat = setInterval(() => {
    if (extending) return;
    extending = true;
    claim
      .extend()
      .catch((error: unknown) => {
        if (isDeepDefenseError(error) && error.code === 'CLAIM_LOST') lost.abort(error);
        else logger.debug({ task: task.id, err: error }, 'the claim could not be extended; trying again');
      })
      .finally(() => {
        extending = false;
      });
  }, claim.leaseMs / EXTENSIONS_PER_LEASE);
  try {
    const { result, diverged } = await run(claim, AbortSignal.any([signal, lost.signal]), logger);
    clock?.enter('committing');
    await claim.commit(result);
    clock?.ended(diverged ? 'diverged' : 'measured');
    return true;
  } catch (cause) {
    clock?.ended(await settle(claim, cause, { left: signal.aborted, lost: lost.signal.aborted, logger }));
    return false;
  } finally {
    clearInterval(beat);
    logger.debug({ task: task.id, epoch }, 'a task is over');
  }
}

/** What becomes of a claim whose work ended without a result. */
async function settle(
  claim: Claim,
  cause: unknown,
  { left, lost, logger }: { readonly left: boolean; readonly lost: boolean; readonly logger: Logger },
): Promise<TrialOutcome> {
  const error = isDeepDefenseError(cause)
    ? cause
    : new DeepDefenseError('INTERNAL', { what: cause instanceof Error ? cause.message : String(cause), cause });
  const outcome = lost || error.code === 'CLAIM_LOST' ? 'lost' : left ? 'released' : 'failed';
  try {
    if (outcome === 'lost') logger.warn({ task: claim.task.id }, 'the task was given to another worker; its result here does not count');
    else if (outcome === 'released') await claim.release();
    else {
      logger.error({ task: claim.task.id, err: error }, 'the task failed');
      await claim.fail({ code: error.code, message: error.message }, LASTING.includes(error.code));
    }
  } catch (failure) {
    // Nobody knows of the failure then, and the claim expires by itself.
    logger.warn({ task: claim.task.id, err: failure }, 'the end of the task could not be told');
  }
  return outcome;
}
