export { denoiseFilter } from './denoise.ts';
export { exportOnnx } from './export-onnx.ts';
export { type ForwardOptions, type ForwardResult, featureShape, forward } from './forward.ts';
export { type Initialisation, initialParameters } from './initialisation.ts';
export { flattenGradients, type NamedTensors, named, parameterCount, splitParameters } from './parameters.ts';
