/**
 * @file Splits a captured graph: what depends on stable inputs alone (filters brought into blocked order, for example)
 * becomes a prologue that runs once per new value of these inputs. Drops nodes that no output needs.
 */
import type { CapturedProgram } from './capture-program.ts';
import type { Graph, Value } from './graph.ts';
import { encodeOnnxModel, type OnnxNode } from './onnx-proto.ts';

/** One ONNX model with the names of its inputs and outputs in the graph. */
export interface ModelPart {
  readonly bytes: Uint8Array;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodeCount: number;
  readonly nodes: readonly OnnxNode[];
}

export interface Partition {
  /** Absent where nothing depends on stable inputs alone. */
  readonly prologue?: ModelPart;
  readonly main: ModelPart;
}

/** Name in the graph of a program's output. */
export const capturedOutputName = (name: string): string => `out:${name}`;

const OPERATOR_SETS = [
  { domain: '', version: 18 },
  { domain: 'com.microsoft.nchwc', version: 1 },
];

export function partition(program: string, captured: CapturedProgram, stableInputs: readonly string[]): Partition {
  const { graph } = captured;
  const results = captured.outputs.map(({ spec, value }) => ({ node: identity(value.name, capturedOutputName(spec.name)), value }));
  const nodes = withoutDead(
    [...graph.nodes, ...results.map(({ node }) => node)],
    new Set(results.map(({ node }) => node.outputs[0] as string)),
  );

  const stable = new Set(graph.constants.map(({ name }) => name));
  for (const { name, value } of captured.inputs) if (stableInputs.includes(name)) stable.add(value.name);
  const early: OnnxNode[] = [];
  const late: OnnxNode[] = [];
  const resultNodes = new Set(results.map(({ node }) => node));
  for (const node of nodes) {
    const isStable = !resultNodes.has(node) && node.inputs.every((input) => input === '' || stable.has(input));
    if (isStable) for (const output of node.outputs) stable.add(output);
    (isStable ? early : late).push(node);
  }
  const made = new Set(early.flatMap((node) => node.outputs));
  const crossing = [...new Set(late.flatMap((node) => node.inputs).filter((input) => made.has(input)))];

  const inputNames = captured.inputs.map(({ value }) => value.name);
  const outputs = results.map(({ node, value }) => ({ ...value, name: node.outputs[0] as string }));
  const main = modelPart(program, graph, late, [...inputNames, ...crossing], outputs);
  if (crossing.length === 0) return { main };
  return {
    main,
    prologue: modelPart(
      `${program}/prologue`,
      graph,
      early,
      inputNames,
      crossing.map((name) => graph.value(name)),
    ),
  };
}

const identity = (from: string, to: string): OnnxNode => ({ op: 'Identity', inputs: [from], outputs: [to] });

/** The nodes that `needed` depends on, in order. */
function withoutDead(nodes: readonly OnnxNode[], needed: Set<string>): OnnxNode[] {
  const alive: OnnxNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    alive.push(node);
    for (const input of node.inputs) needed.add(input);
  }
  return alive.reverse();
}

function modelPart(
  name: string,
  graph: Graph,
  nodes: readonly OnnxNode[],
  inputs: readonly string[],
  outputs: readonly Value[],
): ModelPart {
  const wanted = new Set(outputs.map((output) => output.name));
  const alive = withoutDead(nodes, new Set(wanted));
  const used = new Set(alive.flatMap((node) => node.inputs));
  const taken = inputs.filter((input) => used.has(input));
  const bytes = encodeOnnxModel({
    name,
    nodes: alive,
    initializers: graph.constants.filter((constant) => used.has(constant.name)),
    inputs: taken.map((input) => graph.value(input)),
    outputs,
    operatorSets: OPERATOR_SETS,
  });
  return { bytes, inputs: taken, outputs: outputs.map((output) => output.name), nodeCount: alive.length, nodes: alive };
}
