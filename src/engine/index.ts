export { createEngine } from './create-engine.ts';
export { encodeOnnxModel, type OnnxAttribute, type OnnxModel, type OnnxNode, type OnnxTensor, type OnnxValueInfo } from './onnx-proto.ts';
export { tf } from './tensorflow.ts';
export type { CompiledProgram, Engine, EngineName, EngineOptions, Program, TensorValues } from './types.ts';
