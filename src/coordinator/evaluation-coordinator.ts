/** @file The coordinator of one evaluation: brings server, worker pool, units and their file together and owns their ends. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, type EvaluationPlan, evaluationSpecs, evaluationVectorLength } from '../config/index.ts';
import { DeepDefenseError, isDeepDefenseError, plainVectorMath, sha256, systemClock, takeFileLock } from '../core/index.ts';
import type { Dataset } from '../data/index.ts';
import { type CoordinatorMetrics, type HttpEndpoint, type Logger, startHttpServer } from '../telemetry/index.ts';
import { schemaHash, VectorPool } from '../wire/index.ts';
import { AttackQueue, type EvaluationUnit } from './attack-queue.ts';
import { type AttackPass, attackPassesOf, cleanPasses, cutIntoUnits } from './attack-units.ts';
import { EventChannel } from './event-channel.ts';
import type { EvaluationEvent, EvaluationOutcome, FinishedPass } from './evaluation-events.ts';
import { EvaluationFile, type FinishedDiagnosis, type FinishedUnit } from './evaluation-file.ts';
import { costOf, FinishedUnits, totalCost } from './evaluation-progress.ts';
import { claimFolder, type EvaluationQuestion } from './evaluation-question.ts';
import { encodeParameters, type ParameterSnapshot } from './parameter-snapshot.ts';
import { renderWithWorkers } from './pool-metrics.ts';
import { watchPool } from './pool-watcher.ts';
import { checkTimeouts } from './run-plan.ts';
import { type RunningServer, startServer } from './server.ts';
import { StopControl } from './stop-control.ts';
import { WorkerPool } from './worker-pool.ts';

export interface EvaluationOptions {
  readonly question: EvaluationQuestion;
  /** Of data, cluster and engine; the networks have configs of their own. */
  readonly config: Config;
  /** Made when missing; what it holds of the same question isn't computed again. */
  readonly folder: string;
  readonly dataset: Dataset;
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
  const { question, config, folder, dataset, logger, metrics } = options;
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
    const { observer, tally } = watchPool({
      metrics,
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
        runId: `evaluation-${sha256(folder).slice(0, 12)}`,
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
      pool,
      vectorLength: length,
      vectors: new VectorPool(length),
      math: plainVectorMath,
      precision: 'float32',
      dataset,
      metrics,
      logger,
    });
    opened.http = await startHttpServer({
      host: config.cluster.host,
      port: config.cluster.httpPort,
      metrics: { contentType: metrics.contentType, render: () => renderWithWorkers(metrics, pool) },
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
      channel,
      run: async (units, onFinished) => {
        if (stop.requested) return;
        queue = new AttackQueue({
          units,
          onFinished: (unit, finished) => {
            onFinished(unit, finished);
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

type OnFinished = (unit: EvaluationUnit, finished: FinishedUnit | FinishedDiagnosis) => void;

interface EvaluationTools {
  readonly channel: EventChannel<EvaluationEvent>;
  /** Has the units computed; may return with some of them open when a stop was asked for. */
  run(units: readonly EvaluationUnit[], onFinished: OnFinished): Promise<void>;
}

/** The passes of one evaluation, some of them finished before. */
class Evaluation {
  readonly #question: EvaluationQuestion;
  readonly #finished: FinishedUnits;
  readonly #tools: EvaluationTools;

  constructor(question: EvaluationQuestion, finished: FinishedUnits, tools: EvaluationTools) {
    this.#question = question;
    this.#finished = finished;
    this.#tools = tools;
  }

  async run(): Promise<Pick<EvaluationOutcome, 'state' | 'images' | 'passes' | 'diagnoses'>> {
    const { networks, attacks, radii, transfer, onlyCorrectByAll } = this.#question;
    const clean = cleanPasses(networks.length);
    let { images } = this.#question;
    if (onlyCorrectByAll) {
      const passes = await this.#complete(clean, images, []);
      if (passes.length < clean.length) return { state: 'stopped', images, passes, diagnoses: [] };
      images = images.filter((_, row) => passes.every(({ correct }) => correct[row] === '1'));
      if (images.length === 0)
        throw new DeepDefenseError('USAGE', {
          what: 'no image is classified correctly by all networks, so there is nothing to attack',
          todo: 'leave --only-correct-by-all out, or leave out the network that is wrong everywhere',
        });
    }
    const diagnosed = this.#question.diagnosed === 0 ? [] : networks.map((_, network) => this.#diagnosis(network, images));
    const passes = [...clean, ...attackPassesOf({ networks: networks.length, attacks, radii, transfer })];
    const complete = await this.#complete(passes, images, diagnosed);
    const diagnoses = diagnosed.flatMap((unit) => {
      const found = this.#finished.diagnosis(unit);
      return found === undefined ? [] : [{ network: unit.network, json: found.json }];
    });
    const isComplete = complete.length === passes.length && diagnoses.length === diagnosed.length;
    return { state: isComplete ? 'completed' : 'stopped', images, passes: inOrder(complete), diagnoses };
  }

  #diagnosis(network: number, images: readonly number[]): Extract<EvaluationUnit, { kind: 'diagnosis' }> {
    const here = images.slice(0, this.#question.diagnosed);
    return { kind: 'diagnosis', network, images: here, key: sha256(JSON.stringify(['diagnosis', network, here])).slice(0, 32) };
  }

  /** Computes what is open. Returns the passes that are complete then. */
  async #complete(
    passes: readonly AttackPass[],
    images: readonly number[],
    diagnosed: readonly Extract<EvaluationUnit, { kind: 'diagnosis' }>[],
  ): Promise<FinishedPass[]> {
    const { channel, run } = this.#tools;
    const { attacks, batchSize } = this.#question;
    const cut = passes.map((pass) => ({ pass, units: cutIntoUnits([pass], attacks, images, batchSize) }));
    const attackUnits = cut.flatMap(({ units }) => units.map((unit): EvaluationUnit => ({ ...unit, kind: 'attack' })));
    const cleanUnits = attackUnits.filter((unit) => unit.kind === 'attack' && unit.attack < 0);
    const units = [...cleanUnits, ...diagnosed, ...attackUnits.slice(cleanUnits.length)];
    const open = units.filter((unit) => !this.#finished.has(unit));
    const total = totalCost(units);
    const shareBefore = (total - totalCost(open)) / total;
    channel.push({ kind: 'started', finishedBefore: units.length - open.length, units: units.length, images: images.length });
    let cost = 0;
    let attacked = 0;
    let finishedNow = 0;
    const told = new Set<AttackPass>();
    const tell = () => {
      for (const { pass, units: own } of cut) {
        if (told.has(pass)) continue;
        const found = this.#finished.assemble(pass, own);
        if (found === undefined) continue;
        told.add(pass);
        channel.push({ kind: 'pass', pass, accuracy: accuracyOf(found.correct), images: images.length });
      }
    };
    if (open.length > 0)
      await run(open, (unit, finished) => {
        this.#finished.add(finished);
        cost += costOf(unit);
        attacked += unit.images.length;
        finishedNow += 1;
        const share = shareBefore + cost / total;
        const done = units.length - open.length + finishedNow;
        channel.push({ kind: 'progress', finished: done, units: units.length, share, shareBefore, images: attacked });
        tell();
      });
    return cut.flatMap(({ pass, units: own }) => this.#finished.assemble(pass, own) ?? []);
  }
}

function inOrder(passes: readonly FinishedPass[]): FinishedPass[] {
  return passes.toSorted((a, b) => a.attack - b.attack || a.network - b.network || (a.eps ?? 0) - (b.eps ?? 0));
}

function accuracyOf(correct: string): number {
  return correct.replaceAll('0', '').length / correct.length;
}
