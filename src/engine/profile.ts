/**
 * @file Where the time of a captured program goes: its graph runs under the runtime's profiler, times are summed by operator, and
 * set beside the operations and bytes that the shapes demand.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TensorValue } from '../core/index.ts';
import { probeBlockSize } from './blocked-convolution.ts';
import { captureProgram } from './capture-program.ts';
import { checkInputs } from './check-inputs.ts';
import { type Cost, nodeCost } from './graph-cost.ts';
import { openSession, type RuntimeTensor, type SessionOptions, toRuntimeTensor } from './onnx-session.ts';
import { partition } from './partition.ts';
import type { Program, TensorValues } from './types.ts';

/** One operator of a graph. */
export interface OperatorProfile extends Cost {
  readonly operator: string;
  /** Nodes of it in the runtime's graph. */
  readonly count: number;
  /** Milliseconds per run, mean over runs under the profiler. */
  readonly milliseconds: number;
}

/** A program ready to be timed: its main graph on `onnx:cpu`, what depends on its stable inputs alone computed beforehand. */
export interface TimedProgram extends Cost {
  readonly program: string;
  /** Nodes of the captured graph that run each time. */
  readonly nodes: number;
  /** Wall milliseconds of one run. */
  run(): Promise<number>;
  /** Times by operator, longest first: means over `runs` runs under the runtime's profiler. */
  byOperator(runs: number): Promise<OperatorProfile[]>;
  release(): Promise<void>;
}

/** @throws DeepDefenseError ENGINE_* */
export async function openTimedProgram(program: Program, inputs: TensorValues, threads: number): Promise<TimedProgram> {
  const options: SessionOptions = { provider: 'cpu', device: 0, threads };
  const captured = captureProgram(program, await probeBlockSize(options));
  const { prologue, main } = partition(program.name, captured, program.stableInputs ?? []);
  const values = checkInputs(program.name, program.inputs, inputs);
  let feeds: Feeds = Object.fromEntries(captured.inputs.map(({ value }, i) => [value.name, toRuntimeTensor(values[i] as TensorValue)]));
  if (prologue) {
    const session = await openSession(`${program.name}/prologue`, prologue.bytes, options);
    feeds = { ...feeds, ...((await session.run(taken(prologue, feeds))) as Feeds) };
    await session.release();
  }
  const costs = main.nodes.map((node) => ({ operator: node.op, ...nodeCost(captured, node) }));
  const total = (cost: keyof Cost): number => costs.reduce((sum, node) => sum + node[cost], 0);
  const session = await openSession(program.name, main.bytes, options);
  const wanted = taken(main, feeds);
  return {
    program: program.name,
    nodes: main.nodeCount,
    flops: total('flops'),
    bytes: total('bytes'),
    run: async () => {
      const startedMs = performance.now();
      await session.run(wanted);
      return performance.now() - startedMs;
    },
    byOperator: (runs) => operatorTimes(program.name, main.bytes, wanted, options, runs, costs),
    release: () => session.release(),
  };
}

type Feeds = Readonly<Record<string, RuntimeTensor>>;

const taken = ({ inputs }: { readonly inputs: readonly string[] }, feeds: Feeds): Record<string, RuntimeTensor> =>
  Object.fromEntries(inputs.map((input) => [input, feeds[input] as RuntimeTensor]));

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  /** Microseconds. */
  readonly dur: number;
  readonly args: { readonly op_name?: string };
}

/** Runs before those that count. */
const WARM_UP = 2;

async function operatorTimes(
  name: string,
  bytes: Uint8Array,
  feeds: Feeds,
  options: SessionOptions,
  runs: number,
  costs: readonly ({ readonly operator: string } & Cost)[],
): Promise<OperatorProfile[]> {
  const folder = mkdtempSync(join(tmpdir(), 'deepdefense-profile-'));
  const all = runs + WARM_UP;
  try {
    const session = await openSession(name, bytes, { ...options, profilePrefix: join(folder, 'run') });
    for (let run = 0; run < all; run++) await session.run(feeds);
    session.endProfiling();
    await session.release();
    const [file] = readdirSync(folder);
    const events = JSON.parse(readFileSync(join(folder, file as string), 'utf8')) as ProfileEvent[];
    const byOperator = new Map<string, { microseconds: number; nodes: number }>();
    for (const { cat, name: event, dur, args } of events) {
      if (cat !== 'Node' || !event.endsWith('_kernel_time') || args.op_name === undefined) continue;
      const entry = byOperator.get(args.op_name) ?? { microseconds: 0, nodes: 0 };
      byOperator.set(args.op_name, { microseconds: entry.microseconds + dur, nodes: entry.nodes + 1 });
    }
    return [...byOperator]
      .map(([operator, { microseconds, nodes }]): OperatorProfile => {
        const own = costs.filter((cost) => cost.operator === operator);
        return {
          operator,
          count: nodes / all,
          milliseconds: microseconds / 1000 / all,
          flops: own.reduce((sum, { flops }) => sum + flops, 0),
          bytes: own.reduce((sum, { bytes }) => sum + bytes, 0),
        };
      })
      .sort((a, b) => b.milliseconds - a.milliseconds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
