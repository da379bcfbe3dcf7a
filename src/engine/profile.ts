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

export interface ProgramProfile extends Cost {
  readonly program: string;
  /** Nodes of the captured graph that run each time. */
  readonly nodes: number;
  readonly runs: number;
  /** Wall milliseconds of each run without the profiler, ascending. */
  readonly milliseconds: readonly number[];
  /** By time, longest first; empty when not profiled by operator. */
  readonly operators: readonly OperatorProfile[];
}

export interface ProfileOptions {
  readonly threads: number;
  /** Measured runs; two more come first. */
  readonly runs: number;
  /** Also by operator; default true. */
  readonly byOperator?: boolean;
}

/**
 * Times a program's main graph on `onnx:cpu`; what depends on its stable inputs alone is computed once beforehand.
 * @throws DeepDefenseError ENGINE_*
 */
export async function profileProgram(program: Program, inputs: TensorValues, options: ProfileOptions): Promise<ProgramProfile> {
  const { threads, runs, byOperator = true } = options;
  const session: SessionOptions = { provider: 'cpu', device: 0, threads };
  const captured = captureProgram(program, await probeBlockSize(session));
  const { prologue, main } = partition(program.name, captured, program.stableInputs ?? []);
  const values = checkInputs(program.name, program.inputs, inputs);
  let feeds: Record<string, RuntimeTensor> = {};
  captured.inputs.forEach(({ value }, i) => (feeds[value.name] = toRuntimeTensor(values[i] as TensorValue)));
  if (prologue) {
    const hoisted = await timed({ ...prologue, name: `${program.name}/prologue` }, feeds, session, 1, undefined);
    feeds = { ...feeds, ...hoisted.outputs };
  }
  const plain = await timed({ ...main, name: program.name }, feeds, session, runs, undefined);
  const costs = main.nodes.map((node) => ({ operator: node.op, ...nodeCost(captured, node) }));
  const total = (cost: keyof Cost): number => costs.reduce((sum, node) => sum + node[cost], 0);
  return {
    program: program.name,
    nodes: main.nodeCount,
    runs,
    milliseconds: plain.milliseconds.toSorted((a, b) => a - b),
    flops: total('flops'),
    bytes: total('bytes'),
    operators: byOperator ? await operatorTimes(main, program.name, feeds, session, runs, costs) : [],
  };
}

interface NamedPart {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly inputs: readonly string[];
}

const WARM_UP = 2;

async function timed(
  { name, bytes, inputs }: NamedPart,
  feeds: Readonly<Record<string, RuntimeTensor>>,
  options: SessionOptions,
  runs: number,
  profilePrefix: string | undefined,
) {
  const session = await openSession(name, bytes, { ...options, ...(profilePrefix === undefined ? {} : { profilePrefix }) });
  try {
    const wanted = Object.fromEntries(inputs.map((input) => [input, feeds[input] as RuntimeTensor]));
    const milliseconds: number[] = [];
    let outputs: Record<string, RuntimeTensor> = {};
    for (let run = -WARM_UP; run < runs; run++) {
      const startedMs = performance.now();
      outputs = (await session.run(wanted)) as Record<string, RuntimeTensor>;
      if (run >= 0) milliseconds.push(performance.now() - startedMs);
    }
    if (profilePrefix !== undefined) session.endProfiling();
    return { outputs, milliseconds };
  } finally {
    await session.release();
  }
}

interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  /** Microseconds. */
  readonly dur: number;
  readonly args: { readonly op_name?: string };
}

async function operatorTimes(
  main: { readonly bytes: Uint8Array; readonly inputs: readonly string[] },
  name: string,
  feeds: Readonly<Record<string, RuntimeTensor>>,
  options: SessionOptions,
  runs: number,
  costs: readonly ({ readonly operator: string } & Cost)[],
): Promise<OperatorProfile[]> {
  const folder = mkdtempSync(join(tmpdir(), 'deepdefense-profile-'));
  try {
    const prefix = join(folder, 'run');
    await timed({ ...main, name }, feeds, options, runs, prefix);
    const [file] = readdirSync(folder);
    const events = JSON.parse(readFileSync(join(folder, file as string), 'utf8')) as ProfileEvent[];
    const byOperator = new Map<string, { microseconds: number; nodes: number }>();
    for (const { cat, name: event, dur, args } of events) {
      if (cat !== 'Node' || !event.endsWith('_kernel_time') || args.op_name === undefined) continue;
      const entry = byOperator.get(args.op_name) ?? { microseconds: 0, nodes: 0 };
      byOperator.set(args.op_name, { microseconds: entry.microseconds + dur, nodes: entry.nodes + 1 });
    }
    const all = runs + WARM_UP;
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
