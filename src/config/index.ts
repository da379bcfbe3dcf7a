export { featureLayers, INPUT_LAYER, type LayerDescription, MODEL_NAMES, MODELS, type ModelDescription, type ModelName, parameterSpecs } from './model-catalogue.ts';
export { type Config, type ConfigInput, configSchema, type ResolvedGfa } from './schema.ts';
