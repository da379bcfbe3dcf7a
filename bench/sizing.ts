/**
 * @file What a coordinator needs, by formulas whose constants were measured (docs/benchmarks.md, A thousand workers, and Soak). Prints the
 * table of docs/operations.md in Markdown, or the row of one case.
 */
import { wholeNumber } from './options.ts';
import { readOptions } from './script.ts';

const HELP = `Prints what a coordinator needs for so many workers and parameters.

  node --import tsx bench/sizing.ts [--workers 100 --parameters 146000 --step-ms 500] [--metrics 17]

  --workers, --parameters, --step-ms  one case, in place of the table; step-ms is the time of a step, computation included
  --metrics                           training metrics of a step; default 17: GFA on three layers`;

/** Processor time of a step per worker for messages alone, ms: swarm.ts with `small`, 10 to 1000 workers: 0.23 - 0.37. */
const MESSAGE_CPU_MS = 0.3;
/** More per MB of vector up and down, ms: swarm.ts with `cnn3`: (2.1 to 2.3 ms - 0.3) for 1.17 MB. */
const MEGABYTE_CPU_MS = 1.7;
/** Mutual TLS where vectors are moved: swarm.ts --tls, cnn3, 10 and 1000 workers: 1.61 and 1.57 times the processor time; 100: 1.38. */
const TLS_FACTOR = 1.6;
/** Resident, MiB: a coordinator without workers; per worker; and per MiB of a vector and worker while all send. */
const [BASE_MIB, WORKER_MIB, VECTOR_FACTOR] = [130, 0.1, 1.6];
/** Bytes of a step's line in the journal: always; per counted answer, at least one per worker; per metric. */
const [LINE_BYTES, ANSWER_BYTES, METRIC_BYTES] = [430, 130, 45];

interface Need {
  readonly workers: number;
  readonly parameters: number;
  readonly stepMs: number;
  /** Up and down alike, MB (1e6 B) per second. */
  readonly megabytesPerSecond: number;
  /** Of one core, 1 = all of it; above 1 the coordinator is what steps wait for. */
  readonly cores: number;
  readonly coresTls: number;
  readonly memoryMiB: number;
  readonly journalGbPerDay: number;
  /** Of one checkpoint with adam. */
  readonly checkpointMb: number;
}

function needOf(workers: number, parameters: number, stepMs: number, metrics: number): Need {
  const vectorMb = (parameters * 4) / 1e6;
  const cpuMs = workers * (MESSAGE_CPU_MS + MEGABYTE_CPU_MS * 2 * vectorMb);
  const stepsPerDay = 86_400_000 / stepMs;
  return {
    workers,
    parameters,
    stepMs,
    megabytesPerSecond: (workers * vectorMb * 1000) / stepMs,
    cores: cpuMs / stepMs,
    coresTls: (cpuMs * TLS_FACTOR) / stepMs,
    memoryMiB: BASE_MIB + workers * (WORKER_MIB + VECTOR_FACTOR * vectorMb),
    journalGbPerDay: (stepsPerDay * (LINE_BYTES + ANSWER_BYTES * workers + METRIC_BYTES * metrics)) / 1e9,
    checkpointMb: 3 * vectorMb,
  };
}

function row({ workers, parameters, stepMs, ...need }: Need): string {
  const cells = [
    workers,
    parameters.toLocaleString('en'),
    stepMs,
    need.megabytesPerSecond.toFixed(1),
    need.cores.toFixed(2),
    need.coresTls.toFixed(2),
    need.memoryMiB.toFixed(0),
    need.journalGbPerDay.toFixed(2),
    need.checkpointMb.toFixed(1),
  ];
  return `| ${cells.join(' | ')} |`;
}

const { workers, parameters, metrics, ...values } = readOptions(HELP, {
  metrics: wholeNumber(17),
  workers: wholeNumber(),
  parameters: wholeNumber(),
  'step-ms': wholeNumber(500),
});
const cases: readonly (readonly [number, number, number])[] =
  workers !== undefined && parameters !== undefined
    ? [[workers, parameters, values['step-ms']]]
    : [
        [2, 146_000, 60],
        [8, 146_000, 60],
        [8, 550_000, 400],
        [64, 550_000, 400],
        [64, 11_000_000, 2000],
        [256, 550_000, 1000],
        [1000, 146_000, 5000],
      ];
process.stdout.write(
  '| workers | parameters | ms a step | MB/s each way | cores | cores, mTLS | MiB | journal GB a day | checkpoint MB |\n',
);
process.stdout.write('|---|---|---|---|---|---|---|---|---|\n');
for (const [count, size, stepMs] of cases) process.stdout.write(`${row(needOf(count, size, stepMs, metrics))}\n`);
