export {
  ATTACK_CATALOGUE,
  type AttackDescription,
  type AttackName,
  type AttackSetting,
  describeAttack,
  IN_TRAINING_ATTACKS,
  type Norm,
  NORMS,
} from './attack-catalogue.ts';
export { type AttackSpec, formatAttackSpec, parseAttackSpec } from './attack-spec.ts';
export { configDocs } from './config-docs.ts';
export { editDistance, nearestName } from './edit-distance.ts';
export type {
  AttackResult,
  Distances,
  EvaluatedModel,
  EvaluationRecord,
  MaskingDiagnostics,
  TransferResult,
} from './evaluation-record.ts';
export { type ConfigField, configFields, configJsonSchema } from './field-table.ts';
export { type ConfigProblem, configError } from './config-problem.ts';
export { type ConfigSources, loadConfig } from './load-config.ts';
export {
  featureLayers,
  INPUT_LAYER,
  type LayerDescription,
  MODEL_NAMES,
  MODELS,
  type ModelDescription,
  type ModelName,
  parameterSpecs,
} from './model-catalogue.ts';
export { type Preset, presetConfig, PRESETS } from './presets.ts';
export { resolveConfig } from './resolve-config.ts';
export { resolveGfa } from './resolve-gfa.ts';
export { type Config, type ConfigInput, configSchema, type EvaluationName, type ResolvedGfa } from './schema.ts';
