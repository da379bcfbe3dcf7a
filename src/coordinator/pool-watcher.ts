/** @file Turns what the worker pool reports into metrics, log lines, journal events and progress. */
import type { CoordinatorMetrics, Logger } from '../telemetry/index.ts';
import type { Answer, Job } from './job.ts';
import type { Ledger } from './ledger.ts';
import type { Member } from './membership.ts';
import type { PoolObserver, Waiting } from './pool-observer.ts';
import type { RunEvent } from './run-events.ts';
import type { WorkerGauges } from './worker-gauges.ts';

export interface PoolWatcherOptions {
  readonly metrics: CoordinatorMetrics;
  readonly gauges: WorkerGauges;
  /** Samples that an answer is worth. */
  readonly samplesOf: (answer: Answer) => number;
  readonly logger: Logger;
  /** Where the journal's events go; an evaluation has no journal. */
  readonly ledger: Pick<Ledger, 'record'>;
  readonly emit: (event: RunEvent) => void;
  readonly readyWorkers: () => number;
  /** Called when work can't go on for want of workers. */
  readonly onWaiting: () => void;
  /** Shown to people who wait. */
  readonly address: () => string;
}

/** Counts that a result reports. */
export interface PoolTally {
  joined: number;
  left: number;
  leasesExpired: number;
  answersRefused: number;
}

/** An observer and what it has counted. */
export function watchPool(options: PoolWatcherOptions): { readonly observer: PoolObserver; readonly tally: Readonly<PoolTally> } {
  const { metrics, gauges, samplesOf, logger, ledger } = options;
  const tally: PoolTally = { joined: 0, left: 0, leasesExpired: 0, answersRefused: 0 };
  const ready = new Set<number>();
  let waits = 0;
  const emit = (change: Extract<RunEvent, { kind: 'worker' }>['change'], member: Member, detail = '') =>
    options.emit({ kind: 'worker', change, workerId: member.workerId, host: member.host, ready: options.readyWorkers(), detail });
  const observer: PoolObserver = {
    workerJoined: (member, hello) => {
      metrics.workerJoins.inc();
      logger.debug({ worker: member.workerId, host: hello.host, pid: hello.processId }, 'a worker has joined');
      emit('joined', member);
    },
    workerReady: (member, { engineFingerprint, captureMs, compileMs }) => {
      tally.joined += 1;
      ready.add(member.id);
      ledger.record({ type: 'worker-joined', workerId: member.workerId, host: member.host, engineFingerprint });
      logger.info(
        { worker: member.workerId, engine: engineFingerprint, captureMs: Math.round(captureMs), compileMs: Math.round(compileMs) },
        'a worker is ready',
      );
      emit('ready', member);
    },
    workerSilent: (member) => {
      logger.warn({ worker: member.workerId }, 'a worker is silent; its leases go to others');
      emit('silent', member);
    },
    workerQuarantined: (member, lengthMs, reason) => {
      metrics.quarantines.inc({ reason });
      logger.warn({ worker: member.workerId, seconds: lengthMs / 1000, reason }, 'a worker gets no new lease for a while');
      emit('quarantined', member, `${reason}, for ${lengthMs / 1000} s`);
    },
    workerRefused: (member, error) => {
      metrics.refusals.inc({ code: error.code });
      logger.warn({ worker: member.workerId, err: error }, 'a worker was refused');
      emit('refused', member, `${error.code}: ${error.message}`);
    },
    workerLeft: (member, reason, detail) => {
      metrics.workerLeaves.inc({ reason });
      if (member.workerId === '') return;
      gauges.left(member.workerId);
      if (ready.delete(member.id)) {
        if (reason !== 'finished') tally.left += 1;
        ledger.record({ type: 'worker-left', workerId: member.workerId, reason });
      }
      if (reason !== 'finished') logger.info({ worker: member.workerId, reason, detail }, 'a worker has left');
      emit('left', member, reason);
    },
    leaseGranted: (_member, _job, { speculative }) => {
      metrics.leasesGranted.inc();
      if (speculative) metrics.speculativeLeases.inc();
    },
    leaseExpired: (member, job, { epoch, ranges }, reason) => {
      tally.leasesExpired += 1;
      metrics.leasesExpired.inc({ reason });
      logger.warn({ worker: member.workerId, job: job.kind, step: job.step, ranges, reason }, 'a lease was taken back');
      if (job.step === undefined) return;
      ledger.record({ type: 'lease-expired', workerId: member.workerId, step: job.step, leaseEpoch: epoch, blocks: ranges, reason });
    },
    deadlineTooShort: (job, deadlineMs) => logger.warn(describeShortDeadline(job, deadlineMs)),
    answerAccepted: (member, answer) => {
      if (answer.kind !== 'initial') gauges.answered(member.workerId, samplesOf(answer), answer.message.computeMs);
    },
    answerDuplicate: (member) => logger.debug({ worker: member.workerId }, 'an answer came twice'),
    answerSuperseded: (member) => {
      metrics.answersSuperseded.inc();
      logger.debug({ worker: member.workerId }, 'another worker answered before');
    },
    answerRefused: (member, code, why) => {
      tally.answersRefused += 1;
      metrics.refusals.inc({ code });
      logger.warn({ worker: member.workerId, code, why }, 'an answer was refused');
    },
    waiting: (waiting) => {
      const message = describeWaiting(waiting, options.address());
      // The first notice is what every start looks like; a wait that goes on deserves attention.
      if (waits === 0) logger.info(message);
      else logger.warn(message);
      waits += 1;
      metrics.waitingForWorkers.set(1);
      options.emit({ kind: 'waiting', needed: waiting.needed, ready: waiting.ready, preparing: waiting.preparing, message });
      options.onWaiting();
    },
    waitingEnded: () => {
      waits = 0;
      metrics.waitingForWorkers.set(0);
    },
  };
  return { observer, tally };
}

/** One line: what took too long and what to set. */
export function describeShortDeadline({ kind, step, deadlineFactor = 1 }: Job, deadlineMs: number): string {
  const work = step === undefined ? kind : `step ${step}`;
  return (
    `${work}: leases were taken back after ${deadlineMs} ms, though no worker is known to be slower than the others; ` +
    `cluster.stepDeadlineMs is too short for this work: set it to ${Math.ceil((4 * deadlineMs) / deadlineFactor)} or more`
  );
}

/** One line: what is missing and what to do. */
export function describeWaiting({ job, needed, ready, preparing, silent, lastFailure }: Waiting, address: string): string {
  const work = job.step === undefined ? job.kind : `step ${job.step}`;
  const missing = Math.max(0, needed - ready);
  const parts = [`${work} waits for workers: ${ready} of ${needed} ready, ${missing} missing, ${preparing} preparing`];
  if (silent > 0) parts.push(`${silent} silent`);
  if (lastFailure !== undefined) parts.push(`last failure ${lastFailure}`);
  if (preparing < missing) parts.push(`start some with: deepdefense worker --coordinator ${address}`);
  return parts.join('; ');
}
