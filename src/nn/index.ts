export { denoiseFilter } from './denoise.ts';
export { exportOnnx } from './export-onnx.ts';
export { type ForwardOptions, type ForwardResult, featureShape, forward } from './forward.ts';
export { type Initialisation, initialParameters } from './initialisation.ts';
export { NORM_EPSILON, NORM_GROUPS, normalise } from './normalisation.ts';
export { flattenGradients, type NamedTensors, named, parameterCount, splitParameters, trainedParameters } from './parameters.ts';
