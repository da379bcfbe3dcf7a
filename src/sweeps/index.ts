export { createSampler } from './create-sampler.ts';
export { createScheduler } from './create-scheduler.ts';
export { crowdingDistances, dominates, hypervolume, hypervolumeContributions, paretoRanks } from './dominance.ts';
export { evaluateFunction } from './functions.ts';
export {
  type CandidateState,
  type CandidateStatus,
  type Chosen,
  keyOf,
  type Outcome,
  type Part,
  Planner,
  type PlannerOptions,
} from './planner.ts';
export type { Coordinate, Point } from './point.ts';
export type { Observation, Sampler, SamplerOptions, SuggestRequest } from './sampler.ts';
export type { Scheduler } from './scheduler.ts';
export { SearchSpace } from './space.ts';
export type { CandidateRecord, MeasurementRecord, ObjectiveRecord, ParameterValue, SweepRecord } from './sweep-record.ts';
export { trainingPasses } from './training-passes.ts';
export { canonicalJson, detailName, type Measuring, type PartWork, type TrialOrigin, Trials } from './trials.ts';
