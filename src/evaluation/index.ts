export { createAlignmentProbe, type LayerAlignment, type LayerSamples, meanAlignment } from './alignment-probe.ts';
export { type AttackRun, type AttackRunOptions, classifiedCorrectly, pickSamples, runAttack } from './attack-run.ts';
export { CompiledClassifier } from './compiled-classifier.ts';
export type { AttackResult, Distances, EvaluatedModel, EvaluationRecord, MaskingDiagnostics, TransferResult } from '../config/index.ts';
export { CountingClassifier } from './counting-classifier.ts';
export { type EvaluationOutcome, Evaluator, type ImageRange } from './evaluator.ts';
export { LabelledBatch } from './labelled-batch.ts';
export { checkAttacked, measurePerturbation, type Perturbation } from './perturbation.ts';
export { createPredict } from './predict.ts';
