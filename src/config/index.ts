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
export {
  defaultNetwork,
  featureLayers,
  INPUT_LAYER,
  type Network,
  networkOperations,
  normOf,
  parameterSpecs,
} from './architecture.ts';
export { attackPasses } from './attack-effort.ts';
export { type AttackSpec, formatAttackSpec, parseAttackSpec } from './attack-spec.ts';
export { configDocs } from './config-docs.ts';
export { type EvaluationPlan, evaluationSpecs, evaluationVectorLength, parseEvaluationPlan } from './evaluation-plan.ts';
export { EVALUATION_SUITES, type EvaluationSuite, type SuiteName } from './evaluation-suites.ts';
export { DEFAULT_RADII, formatEps, parseEpsList } from './eps-list.ts';
export { editDistance, nearestName } from './edit-distance.ts';
export type {
  AttackResult,
  Distances,
  EvaluatedModel,
  EvaluationRecord,
  MaskingDiagnostics,
  TransferResult,
} from './evaluation-record.ts';
export { configFields, configJsonSchema } from './field-table.ts';
export { type ConfigField, SchemaFields } from './schema-fields.ts';
export { type ConfigProblem, configError } from './config-problem.ts';
export { type ConfigSources, loadConfig } from './load-config.ts';
export { type LayerDescription, MODEL_NAMES, MODELS, type ModelDescription, type ModelName } from './model-catalogue.ts';
export type { DenoiseOperation, NormOperation, Operation } from './network-operations.ts';
export { BATCH_NORM_RATE, initialValue, isDecayed, isRunningStatistic, isRunningVariance } from './parameter-roles.ts';
export { FUNCTION_NAMES, type FunctionName } from './sweep/test-function-names.ts';
export { sweepConfigDocs } from './sweep/sweep-docs.ts';
export { loadSweep, resolveSweep, SWEEP_FIELDS, type SweepSource, type SweepSources } from './sweep/load-sweep.ts';
export { SAMPLER_NAMES, SCHEDULER_NAMES } from './sweep/sweep-schema.ts';
export type { LayerWeights, SamplerName, SchedulerName, SpaceParameter, SweepConfig, SweepInput } from './sweep/sweep-schema.ts';
export { applyAssignments } from './yaml-source.ts';
export { FREE_KEYS } from './free-keys.ts';
export { type Preset, presetConfig, PRESETS } from './presets.ts';
export { limitsOf, resolveConfig } from './resolve-config.ts';
export { resolveGfa } from './resolve-gfa.ts';
export {
  type ClusterLimits,
  type Config,
  type ConfigInput,
  configSchema,
  type DenoiseFilter,
  type EvaluationName,
  modelSchema,
  type ResolvedGfa,
  STRATEGY_NAMES,
} from './schema.ts';
