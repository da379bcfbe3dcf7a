/** @file The coordinator of one evaluation: brings server, worker pool, units and their file together and owns their ends. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, type EvaluationPlan, evaluationSpecs, evaluationVectorLength } from '../config/index.ts';
import { isDeepDefenseError, plainVectorMath, sha256, systemClock, takeFileLock } from '../core/index.ts';
import type { Dataset } from '../data/index.ts';
import type { TlsFiles } from '../security/index.ts';
import { type CoordinatorMetrics, type HttpEndpoint, type Logger, startHttpServer, withContext } from '../telemetry/index.ts';
import { schemaHash, VectorPool } from '../wire/index.ts';
import { AttackQueue } from './attack-queue.ts';
import { EventChannel } from './event-channel.ts';
import type { EvaluationEvent, EvaluationOutcome } from './evaluation-events.ts';
import { EvaluationFile } from './evaluation-file.ts';
import { claimFolder, type EvaluationQuestion } from './evaluation-question.ts';
import { Evaluation } from './evaluation-run.ts';
import { FinishedUnits } from './finished-units.ts';
import { encodeParameters, type ParameterSnapshot } from './parameter-snapshot.ts';
import { scrapeWithWorkers } from './pool-metrics.ts';
import { watchPool } from './pool-watcher.ts';
import { checkTimeouts } from './run-plan.ts';
import { type RunningServer, startServer } from './server.ts';
import { StopControl } from './stop-control.ts';
import { WorkerGauges } from './worker-gauges.ts';
import { WorkerPool } from './worker-pool.ts';

export interface EvaluationOptions {
  readonly question: EvaluationQuestion;
  /** Of data, cluster and engine; the networks have configs of their own. */
  readonly config: Config;
  /** Made when missing; what it holds of the same question isn't computed again. */
  readonly folder: string;
  readonly dataset: Dataset;
  /** Certificates of the coordinator; undefined = plain text. */
  readonly tls?: TlsFiles | undefined;
  readonly logger: Logger;
  readonly metrics: CoordinatorMetrics;
}

/** An evaluation at work. */
export interface EvaluationHandle {
  /** host:port for workers. */
  readonly grpcAddress: string;
  /** Base of /metrics, /livez, /readyz. */
  readonly httpUrl: string;
  /** For one watcher; needn't be read. */
  readonly progress: AsyncIterable<EvaluationEvent>;
  /** Settles when everything is closed. Rejects with the error that ended the evaluation. */
  readonly result: Promise<EvaluationOutcome>;
  /** Lets the units in progress end, at most cluster.graceMs, then ends; a second call gives them up. Resolves when everything is closed. */
  stop(reason: string): Promise<void>;
}

/** In the folder: see evaluation-file.ts. */
export const UNITS_FILE = 'tasks.jsonl';

/** Time that open streams get to end after the last word. */
const CLOSE_GRACE_MS = 2_000;

/**
 * Starts an evaluation, or goes on with the one in the folder; it goes on by itself.
 * @throws DeepDefenseError CONFIG_TIMEOUT_ORDER, CHECKPOINT_OTHER_CONFIG (another question in the folder), RUN_IN_USE, PORT_IN_USE,
 * CONNECT_FAILED, STORAGE_FAILED
 */
export async function startEvaluation(options: EvaluationOptions): Promise<EvaluationHandle> {
  const { question, config, folder, dataset, metrics } = options;
  const runId = `evaluation-${sha256(folder).slice(0, 12)}`;
  const logger = withContext(options.logger, () => ({ run: runId }));
  checkTimeouts(config.cluster);
  await mkdir(folder, { recursive: true });
  const release = await takeFileLock(join(folder, 'evaluation.lock'), {
    purpose: `with the evaluation in "${folder}"`,
    code: 'RUN_IN_USE',
  });
  const opened: { server?: RunningServer; http?: HttpEndpoint; file?: EvaluationFile } = {};
  try {
    await claimFolder(folder, question);
    const { file, lines, cutBytes } = await EvaluationFile.open(join(folder, UNITS_FILE));
    opened.file = file;
    if (cutBytes > 0) logger.warn({ cutBytes }, `the end of ${UNITS_FILE} was damaged and was cut off; its units are computed again`);
    const plan: EvaluationPlan = {
      seed: question.seed,
      batchSize: question.batchSize,
      networks: question.networks.map((network) => network.config),
    };
    const channel = new EventChannel<EvaluationEvent>();
    let engine = lines.find((line) => line.kind === 'engine')?.fingerprint;
    const gauges = new WorkerGauges(metrics);
    metrics.exemplars.set({ run: runId });
    metrics.runInfo.set(
      {
        run: runId,
        strategy: 'evaluate',
        model: `${question.networks.length} networks`,
        dataset: dataset.name,
        engine: config.engine.name,
      },
      1,
    );
    metrics.workersRequired.set(1);
    const { observer, tally } = watchPool({
      metrics,
      gauges,
      samplesOf: (answer) => (answer.kind === 'attack' ? answer.message.correct.length : 0),
      logger,
      ledger: {
        record: (event) => {
          if (event.type !== 'worker-joined' || engine !== undefined) return;
          engine = event.engineFingerprint;
          void file.append({ kind: 'engine', fingerprint: engine });
        },
      },
      emit: (event) => {
        if (event.kind === 'worker' || event.kind === 'waiting') channel.push(event);
      },
      readyWorkers: () => pool.membership.ready().length,
      onWaiting: () => {
        if (stop.requested) setImmediate(() => pool.abandon(stop.reason));
      },
      address: () => opened.server?.address ?? '',
    });
    const schema = schemaHash(evaluationSpecs(plan));
    const pool = new WorkerPool<ParameterSnapshot>({
      clock: systemClock,
      leaseMs: config.cluster.leaseMs,
      stepDeadlineMs: config.cluster.stepDeadlineMs,
      workersLostMs: config.cluster.workersLostMs,
      maxWorkers: config.cluster.maxWorkers,
      identity: { schemaHash: schema, datasetHash: dataset.contentHash, engineFingerprint: engine },
      welcome: {
        runId,
        configJson: JSON.stringify(config),
        schemaHash: schema,
        datasetHash: dataset.contentHash,
        heartbeatMs: config.cluster.heartbeatMs,
        trainSamples: 0,
        evaluationJson: JSON.stringify(plan),
      },
      encodeParameters,
      observer,
      // Higher than any id of an earlier process, whose late answers a worker may still bring.
      firstTaskId: Date.now() * 1000,
    });
    const length = evaluationVectorLength(plan);
    opened.server = await startServer({
      host: config.cluster.host,
      port: config.cluster.port,
      tls: options.tls,
      pool,
      vectorLength: length,
      vectors: new VectorPool(length),
      math: plainVectorMath,
      precision: 'float32',
      dataset,
      metrics,
      gauges,
      logger,
    });
    opened.http = await startHttpServer({
      host: config.cluster.host,
      port: config.cluster.httpPort,
      scrape: (accept) => scrapeWithWorkers(metrics, pool, accept),
      readiness: () => {
        const ready = pool.membership.ready().length;
        return { ready: ready > 0, reason: ready > 0 ? `${ready} workers are ready` : 'no worker is ready' };
      },
    });
    const vector = new Float32Array(length);
    let from = 0;
    for (const { parameters } of question.networks) {
      vector.set(parameters, from);
      from += parameters.length;
    }
    pool.publish(0, vector);
    let queue: AttackQueue | undefined;
    const stop = new StopControl((reason, times) => {
      logger.info({ reason }, times === 1 ? 'stopping after the units in progress' : 'stopping at once');
      queue?.leases.drain();
      if (times > 1 || pool.membership.ready().length === 0) pool.abandon(reason);
      else setTimeout(() => pool.abandon(reason), config.cluster.graceMs).unref();
    });
    const evaluation = new Evaluation(question, new FinishedUnits(lines), {
      tell: (event) => {
        countUnits(metrics, event);
        channel.push(event);
      },
      run: async (units, onFinished) => {
        if (stop.requested) return;
        queue = new AttackQueue({
          units,
          onFinished: (unit, finished) => {
            onFinished(unit, finished);
            metrics.evaluationImages.inc(unit.images.length);
            // A disk that takes no more ends the evaluation; what is on it stays.
            file.append(finished).catch(() => setImmediate(() => pool.abandon('the results could not be written')));
          },
        });
        try {
          await pool.run(queue);
        } catch (error) {
          await file.flush();
          if (!stop.requested || !isDeepDefenseError(error) || error.code !== 'INTERRUPTED') throw error;
        }
        await file.flush();
      },
    });
    const startedAtMs = performance.now();
    const result = (async (): Promise<EvaluationOutcome> => {
      let error: unknown;
      try {
        const found = await evaluation.run();
        pool.finish(found.state, found.state === 'stopped' ? stop.reason : 'all attacks are done');
        return {
          ...found,
          engineFingerprint: engine ?? '',
          workers: tally.joined,
          seconds: (performance.now() - startedAtMs) / 1000,
        };
      } catch (cause) {
        error = cause;
        pool.finish('failed', cause instanceof Error ? cause.message : String(cause));
        throw cause;
      } finally {
        channel.close();
        // The error that ended the evaluation is the one to report, even when closing fails too.
        await closeAll(opened, release, CLOSE_GRACE_MS).catch((failure: unknown) => {
          if (error === undefined) throw failure;
          logger.error({ err: failure }, 'closing failed');
        });
      }
    })();
    // Whoever wants the error awaits `result`; a caller that only stops must not crash on it.
    result.catch(() => {});
    return {
      grpcAddress: opened.server.address,
      httpUrl: opened.http.url,
      progress: channel,
      result,
      stop: async (reason) => {
        stop.request(reason);
        await result.then(
          () => {},
          () => {},
        );
      },
    };
  } catch (error) {
    await closeAll(opened, release, 0);
    throw error;
  }
}

async function closeAll(
  { server, http, file }: { readonly server?: RunningServer; readonly http?: HttpEndpoint; readonly file?: EvaluationFile },
  release: () => Promise<void>,
  graceMs: number,
): Promise<void> {
  await server?.close(graceMs);
  await http?.close();
  await file?.close();
  await release();
}

/** Units of an evaluation by state. */
function countUnits({ evaluationUnits }: CoordinatorMetrics, event: EvaluationEvent): void {
  if (event.kind !== 'started' && event.kind !== 'progress') return;
  const finished = event.kind === 'started' ? event.finishedBefore : event.finished;
  evaluationUnits.set({ state: 'finished' }, finished);
  evaluationUnits.set({ state: 'open' }, event.units - finished);
}
