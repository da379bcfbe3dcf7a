/** @file The engines by name: plain data, because the command line and the config know them without loading any. */

export const ENGINE_NAMES = ['onnx:cpu', 'onnx:webgpu', 'onnx:cuda', 'onnx:tensorrt', 'tensorflow', 'eager'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];
/** `auto` = the fastest that passes a self-test. */
export type EngineWish = EngineName | 'auto';
