/** @file Registers capture kernels: functions of views and attributes to a view. */
import type { NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs';
import { unblocked } from '../blocks.ts';
import { CAPTURE_BACKEND, capture, tensorInfo, viewOf } from '../capture-backend.ts';
import type { Graph } from '../graph.ts';
import { tf } from '../tensorflow.ts';
import type { View } from '../view.ts';

/** Names of all kernels that can be captured, in order of registration. */
export const capturedKernels: string[] = [];

/** Registers a kernel with named inputs and one output. Its inputs never lie in blocks. */
export function kernel<Inputs extends string, Attributes = unknown>(
  name: string,
  build: (graph: Graph, inputs: Record<Inputs, View>, attributes: Attributes) => View,
): void {
  blockKernel<Inputs, Attributes>(name, (graph, inputs, attributes) => {
    const plain = Object.entries<View>(inputs).map(([input, view]) => [input, unblocked(graph, view)]);
    return build(graph, Object.fromEntries(plain) as Record<Inputs, View>, attributes);
  });
}

/** Registers a kernel that understands inputs in blocks. */
export function blockKernel<Inputs extends string, Attributes = unknown>(
  name: string,
  build: (graph: Graph, inputs: Record<Inputs, View>, attributes: Attributes) => View,
): void {
  capturedKernels.push(name);
  tf.registerKernel({
    kernelName: name,
    backendName: CAPTURE_BACKEND,
    kernelFunc: ({ inputs, attrs }) => tensorInfo(build(capture().graph, views(inputs) as Record<Inputs, View>, attrs as Attributes), name),
  });
}

/** Registers a kernel that takes a list of tensors, none of them in blocks. */
export function listKernel<Attributes>(name: string, build: (graph: Graph, inputs: readonly View[], attributes: Attributes) => View): void {
  blockListKernel<Attributes>(name, (graph, inputs, attributes) =>
    build(
      graph,
      inputs.map((view) => unblocked(graph, view)),
      attributes,
    ),
  );
}

/** Registers a kernel that takes a list of tensors and understands blocks. */
export function blockListKernel<Attributes>(
  name: string,
  build: (graph: Graph, inputs: readonly View[], attributes: Attributes) => View,
): void {
  capturedKernels.push(name);
  tf.registerKernel({
    kernelName: name,
    backendName: CAPTURE_BACKEND,
    kernelFunc: ({ inputs, attrs }) =>
      tensorInfo(build(capture().graph, (inputs as unknown as TensorInfo[]).map(viewOf), attrs as unknown as Attributes), name),
  });
}

/** Registers a kernel with one input and several outputs. */
export function splitKernel<Attributes>(name: string, build: (graph: Graph, input: View, attributes: Attributes) => View[]): void {
  capturedKernels.push(name);
  tf.registerKernel({
    kernelName: name,
    backendName: CAPTURE_BACKEND,
    kernelFunc: ({ inputs, attrs }) => {
      const [input] = Object.values(inputs) as [TensorInfo];
      return build(capture().graph, unblocked(capture().graph, viewOf(input)), attrs as unknown as Attributes).map((view) =>
        tensorInfo(view, name),
      );
    },
  });
}

function views(inputs: NamedTensorInfoMap): Record<string, View> {
  return Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, viewOf(tensor as TensorInfo)]));
}
