export { createAlignmentProbe, type LayerAlignment, type LayerSamples, meanAlignment } from './alignment-probe.ts';
export { CompiledClassifier } from './compiled-classifier.ts';
export type { AttackResult, Distances, EvaluatedModel, EvaluationRecord, MaskingDiagnostics, TransferResult } from '../config/index.ts';
export { diagnose, type DiagnoseOptions } from './diagnose.ts';
export { type EvaluationOutcome, Evaluator, type ImageRange } from './evaluator.ts';
export { LabelledBatch } from './labelled-batch.ts';
export { createPredict } from './predict.ts';
