export { createOptimizer, type Optimizer, type OptimizerSlot, type UpdateReport } from './optimizer.ts';
export { weightsToUse } from './averaging.ts';
export { createRunOptimizer, LocalReplica, startVector, vectorLength } from './local-sgd.ts';
