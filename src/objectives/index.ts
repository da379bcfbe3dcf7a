export { type AlignmentName, type AlignmentStatistics, alignmentPenalty, alignmentStatistics } from './alignment.ts';
export { crossEntropy } from './cross-entropy.ts';
export { type FeatureGradientOptions, type FeatureGradients, featureGradients } from './feature-gradients.ts';
export { type GfaResult, gfaPenalty, LAYER_METRICS, layerMetrics } from './gfa.ts';
export { klDivergence } from './kl-divergence.ts';
export { bestOtherLogit, correctlyClassified, labelLogit, margin } from './margin.ts';
export { squaredError } from './mse.ts';
export { type GradientSource, type LossName, sampleScalar } from './sample-scalars.ts';
export { smoothedTarget, trainingLoss, trainingLossOf } from './training-loss.ts';
