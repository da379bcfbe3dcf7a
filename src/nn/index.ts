export { exportOnnx } from './export-onnx.ts';
export { type ForwardResult, featureShape, forward, type InputRange } from './forward.ts';
export { type Initialisation, initialParameters } from './initialisation.ts';
export { flattenGradients, type NamedTensors, named, parameterCount, splitParameters } from './parameters.ts';
