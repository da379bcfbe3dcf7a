/** @file A coordinator and workers in this process, over real gRPC on free ports, with fake computers. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, type ConfigInput, configSchema } from '../../../src/config/index.ts';
import { type CoordinatorHandle, type CoordinatorOptions, type RunEvent, startCoordinator } from '../../../src/coordinator/index.ts';
import { createDataset, type Dataset, type ImageSet, IMAGE_BYTES } from '../../../src/data/index.ts';
import { createLogger, createMetrics } from '../../../src/telemetry/index.ts';
import { createLocalComputeClient, runWorker, type RunWorkerOptions, type WorkerExitReason } from '../../../src/worker/index.ts';
import { createFakeComputer, type FakeOptions } from './fake-computer.ts';

export const logger = createLogger({ level: (process.env.TEST_LOG as 'debug' | undefined) ?? 'silent' });

/** Images and labels from simple formulas. */
export function imageSet(count: number, seed: number): ImageSet {
  return {
    count,
    labels: Uint8Array.from({ length: count }, (_, i) => (i * 7 + seed) % 10),
    pixels: Uint8Array.from({ length: count * IMAGE_BYTES }, (_, i) => (i * 31 + seed) % 256),
  };
}

/** 96 training and 50 test images. */
export const tinyDataset: Dataset = createDataset('tiny', imageSet(96, 1), imageSet(50, 2));

/** Short timeouts, cnn3, 12 steps of 16 samples in 8 shards: two epochs. */
export function tinyConfig(overrides: ConfigInput = {}): Config {
  return configSchema.parse({
    name: 'tiny',
    ...overrides,
    model: { name: 'cnn3', ...overrides.model },
    train: { batchSize: 16, shards: 8, epochs: 2, ...overrides.train },
    evaluation: { batchSize: 10, robustSamples: 30, everyEpochs: 1, ...overrides.evaluation },
    checkpoint: { everySteps: 5, ...overrides.checkpoint },
    cluster: { heartbeatMs: 50, leaseMs: 300, stepDeadlineMs: 3000, workersLostMs: 2000, ...overrides.cluster },
  });
}

/** For real computers: deep GFA with adam, 40 steps, checkpoints often. */
export function realConfig(overrides: ConfigInput = {}): Config {
  return tinyConfig({
    ...overrides,
    strategy: { name: 'deep' },
    train: { epochs: 100, maxSteps: 40 },
    checkpoint: { everySteps: 4 },
    evaluation: { everyEpochs: 100, attacks: ['fgsm'], epsLinf: [0.03] },
    cluster: { heartbeatMs: 200, leaseMs: 2000, stepDeadlineMs: 30_000, workersLostMs: 30_000, ...overrides.cluster },
  });
}

export interface TestWorker {
  readonly exit: Promise<WorkerExitReason>;
  /** Says goodbye. */
  leave(): void;
}

/** Everything that a test starts; {@link TestCluster.close} ends it. */
export class TestCluster {
  readonly folder: string;
  readonly #abort = new AbortController();
  readonly #exits: Promise<unknown>[] = [];
  handle: CoordinatorHandle | undefined;
  readonly events: RunEvent[] = [];
  metrics = createMetrics('coordinator', { processMetrics: false });

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<TestCluster> {
    return new TestCluster(await mkdtemp(join(tmpdir(), 'deepdefense-cluster-')));
  }

  get runFolder(): string {
    return join(this.folder, 'run');
  }

  async start(config: Config, options: Partial<CoordinatorOptions> = {}): Promise<CoordinatorHandle> {
    this.metrics = createMetrics('coordinator', { processMetrics: false });
    const handle = await startCoordinator({
      config,
      runFolder: this.runFolder,
      runId: 'run-1',
      dataset: tinyDataset,
      logger,
      metrics: this.metrics,
      ...options,
    });
    this.handle = handle;
    this.#exits.push(
      (async () => {
        for await (const event of handle.progress) this.events.push(event);
      })(),
    );
    return handle;
  }

  worker(fake: FakeOptions = {}, options: Partial<RunWorkerOptions> = {}): TestWorker {
    const leave = new AbortController();
    const exit = runWorker({
      coordinatorAddress: this.handle?.grpcAddress ?? '127.0.0.1:1',
      dataOptions: { cacheFolder: join(this.folder, 'cache'), env: {} },
      logger,
      metrics: createMetrics('worker', { processMetrics: false }),
      signal: AbortSignal.any([leave.signal, this.#abort.signal]),
      createComputeClient: () =>
        createLocalComputeClient({
          training: createFakeComputer(fake),
          attacks: () => Promise.reject(new Error('not used')),
        }),
      ...options,
    });
    this.#exits.push(exit.catch(() => {}));
    return { exit, leave: () => leave.abort() };
  }

  /** Resolves with the first event that fits, past ones included. */
  async event<Kind extends RunEvent['kind']>(
    kind: Kind,
    fits: (event: Extract<RunEvent, { kind: Kind }>) => boolean = () => true,
  ): Promise<Extract<RunEvent, { kind: Kind }>> {
    for (;;) {
      const found = this.events.find(
        (event): event is Extract<RunEvent, { kind: Kind }> => event.kind === kind && fits(event as Extract<RunEvent, { kind: Kind }>),
      );
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async journal(): Promise<{ readonly type: string; readonly [key: string]: unknown }[]> {
    const text = await readFile(join(this.runFolder, 'journal.jsonl'), 'utf8');
    return text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: { type: string } }).event);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    const stopped = this.handle?.stop('the test is over');
    void this.handle?.stop('the test is over');
    await stopped;
    await Promise.all(this.#exits);
    await rm(this.folder, { recursive: true, force: true });
  }
}
