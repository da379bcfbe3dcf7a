export { apgd, type ApgdOptions, apgdTargeted } from './apgd.ts';
export {
  type Attack,
  type AttackRandom,
  imageOf,
  joinImages,
  type Samples,
  sampleRandom,
  sampleRandomOf,
  type Stream,
  uniformField,
} from './attack.ts';
export { attackLoss, createAttackGradient, createLogitJacobian, isTargeted, needsExtra, requireClasses } from './attack-loss.ts';
export type { AttackSchedule } from './attack-schedule.ts';
export { createAttackStep } from './attack-step.ts';
export { autoAttack, type AutoAttackOptions } from './auto-attack.ts';
export { Ball, type BallNorm } from './ball.ts';
export { type AttackLoss, type Classifier, type Gradients, IMAGE_VALUES, type LogitGradients, type Looks } from './classifier.ts';
export { type DiFgsmOptions, diFgsm } from './di-fgsm.ts';
export { cw, type CwOptions } from './cw.ts';
export { ddn, type DdnOptions } from './ddn.ts';
export { deepFool, type DeepFoolOptions } from './deepfool.ts';
export { ead, type EadOptions } from './ead.ts';
export { type EotPgdOptions, eotPgd } from './eot-pgd.ts';
export { fab, type FabOptions, fabTargeted } from './fab.ts';
export { fgsm } from './fgsm.ts';
export { fmn, type FmnOptions } from './fmn.ts';
export { gaussianBlur, gaussianKernel } from './gaussian-blur.ts';
export { hopSkipJump, type HopSkipJumpOptions } from './hop-skip-jump.ts';
export { changeToHyperplane } from './hyperplane.ts';
export { type JitterOptions, jitter } from './jitter.ts';
export { type LinfBall, linfBall, projectToBall } from './linf-ball.ts';
export { type MiFgsmOptions, miFgsm } from './mi-fgsm.ts';
export { dualNormOf, normOf, projectToNorm } from './norm-projection.ts';
export { noise, type NoiseDistribution, type NoiseOptions } from './noise.ts';
export { onePixel, type OnePixelOptions } from './one-pixel.ts';
export { PGD_STEPS, pgd } from './pgd.ts';
export { pifgsm, type PifgsmOptions } from './pifgsm.ts';
export { type PgdOptions, projectedGradient } from './projected-gradient.ts';
export { addScaledNoise, fillNormalNoise, fillUniformNoise } from './random-start.ts';
export { ResizePad } from './resize-pad.ts';
export { ATTACKS, createAttack, type EvaluationAttack, type InTrainingAttack } from './registry.ts';
export { isMisclassified, logitMargin } from './search.ts';
export { type SignStepOptions, signStep } from './sign-step.ts';
export { sparseFool, type SparseFoolOptions } from './sparse-fool.ts';
export { square, type SquareDraws, type SquareOptions } from './square.ts';
export { squareL2, type SquareL2Options } from './square-l2.ts';
export { type TiFgsmOptions, tiFgsm } from './ti-fgsm.ts';
