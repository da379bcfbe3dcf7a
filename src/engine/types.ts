/**
 * @file What the rest of the project knows of an engine. A program is written once against the TensorFlow.js op API;
 * an engine runs it eagerly or captures it once and runs the compiled graph.
 */
import type { Tensor } from '@tensorflow/tfjs';
import type { EngineName, EngineWish, TensorSpec, TensorValue } from '../core/index.ts';

/** A pure function of named tensors. `build` runs once per compilation under a capturing engine, so control flow can't depend on tensor values. */
export interface Program {
  /** Identifies the function in error messages and profiles, e.g. `train/deep/vgg6`. */
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  /**
   * Inputs that rarely change, such as parameters: what depends on them alone is computed once per value (the same
   * TensorValue object), not once per run.
   */
  readonly stableInputs?: readonly string[];
  /** Returns the outputs by name; order of keys is the order of outputs. Float32 or int32. */
  build(inputs: Readonly<Record<string, Tensor>>): Record<string, Tensor>;
}

export type TensorValues = Readonly<Record<string, TensorValue>>;

/** A program ready to run on one engine. */
export interface CompiledProgram {
  readonly name: string;
  /** Output specs in order. */
  readonly outputs: readonly TensorSpec[];
  /** Milliseconds of capture and of session creation. */
  readonly compileMs: { readonly capture: number; readonly session: number };
  /**
   * Runs once. Every input must be present with the shape and dtype of the program's spec.
   * @throws DeepDefenseError ENGINE_BAD_INPUT when an input is missing or of another shape or dtype.
   */
  run(inputs: TensorValues): Promise<TensorValues>;
  dispose(): Promise<void>;
}

/** One way to run programs. */
export interface Engine {
  /** e.g. `onnx:cpu`. */
  readonly name: string;
  /** Everything that can change result bits: engine, versions, threads, platform, CPU features. */
  readonly fingerprint: string;
  compile(program: Program): Promise<CompiledProgram>;
  dispose(): Promise<void>;
}

export type { EngineName };
export interface EngineOptions {
  /** `auto` = the fastest that passes a self-test here. */
  readonly name: EngineWish;
  /** Index of the device, for engines that have several; default 0. */
  readonly device?: number;
  /** Intra-op threads, >= 1. */
  readonly threads: number;
}
