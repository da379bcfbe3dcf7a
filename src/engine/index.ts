export { chooseEngine, type EngineChoice, type EngineTrial } from './choose-engine.ts';
export { createEngine } from './create-engine.ts';
export { encodeOnnxModel, type OnnxAttribute, type OnnxModel, type OnnxNode, type OnnxTensor, type OnnxValueInfo } from './onnx-proto.ts';
export { type Device, type EngineDevices, listDevices } from './devices.ts';
export { openTimedProgram, type OperatorProfile, type TimedProgram } from './profile.ts';
export { tf } from './tensorflow.ts';
export type { CompiledProgram, Engine, EngineName, EngineOptions, Program, TensorValues } from './types.ts';
