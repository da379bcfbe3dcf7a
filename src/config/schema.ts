/**
 * @file The one schema of a training config: strict (an unknown key is an error), every default stated once, every
 * field described (docs/configuration.md and the JSON Schema are generated from here).
 */
import { z } from 'zod';
import { ENGINE_NAMES } from '../core/index.ts';
import { IN_TRAINING_ATTACKS } from './attack-catalogue.ts';
import { MODEL_NAMES } from './model-catalogue.ts';

const positiveInt = z.int().min(1);
const fraction = z.number().min(0).max(1);

export const ALIGNMENTS = ['tangential-energy', 'negative-gradient', 'squared', 'absolute', 'positive'] as const;
export const GRADIENT_SOURCES = ['cross-entropy', 'mse', 'true-logit', 'margin'] as const;
export const STRATEGY_NAMES = [
  'benchmark',
  'first',
  'deep',
  'gaie',
  'gradient-norm',
  'denoise',
  'adversarial',
  'fgsm-rs',
  'grad-align',
  'trades',
  'mart',
  'awp',
] as const;
export const GRADIENT_NORMS = ['l1', 'l2'] as const;
export const OPTIMIZER_NAMES = ['sgd', 'adam', 'adamw'] as const;
export const SCHEDULE_NAMES = ['constant', 'step', 'cosine'] as const;
export const LOSS_NAMES = ['cross-entropy', 'mse'] as const;
export const NORM_NAMES = ['none', 'group', 'batch'] as const;
export const DENOISE_FILTERS = ['mean', 'median', 'gaussian', 'non-local'] as const;
/** What a denoising block filters with. */
export type DenoiseFilter = (typeof DENOISE_FILTERS)[number];
export const INPUT_RANGES = ['unit', 'signed'] as const;

export const dataSchema = z.strictObject({
  source: z
    .enum(['cifar10', 'synthetic'])
    .default('cifar10')
    .describe('Dataset: CIFAR-10 in the official binary layout, or the built-in synthetic set.'),
  path: z
    .string()
    .optional()
    .describe('Official archive or unpacked folder; else the environment variable DEEPDEFENSE_DATA, else the cache.'),
  label: z
    .string()
    .optional()
    .describe('Name of the variant printed beside every result, for copies whose pixels differ from the official ones.'),
  trainSamples: positiveInt.optional().describe('Use only the first N training images (default: all).'),
  testSamples: positiveInt.optional().describe('Use only the first N test images (default: all).'),
  padCrop: z.int().min(0).max(16).default(4).describe('Random crop after zero padding by this many pixels on each side; 0 = off.'),
  flip: z.boolean().default(true).describe('Random horizontal flip.'),
});

export const denoiseSchema = z.strictObject({
  filter: z
    .enum(['none', ...DENOISE_FILTERS])
    .default('none')
    .describe('Filter of feature-denoising blocks (Xie et al. 2019): h + conv1x1(filter(h)), see docs/models.md. none = no such blocks.'),
  after: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      'Layers that a denoising block follows, by name: convolutions (the block stands behind their pooling), `stem` or stages. Default: [conv1, conv2], or all stages.',
    ),
});

export const modelSchema = z.strictObject({
  name: z
    .enum(MODEL_NAMES)
    .default('vgg6')
    .describe('Network: cnn3 (146 122 parameters), vgg6 (550 570), resnet18 (11 173 962) or wrn-16-4 (2 748 890), see docs/models.md.'),
  inputRange: z
    .enum(INPUT_RANGES)
    .default('unit')
    .describe('Pixels as the network sees them: unit = [0,1], signed = [-1,1]. Attacks and eps are always in [0,1] units.'),
  initialisation: z.enum(['he', 'glorot']).default('he').describe('Weights: He normal (fan-in) or Glorot uniform; biases 0.'),
  norm: z
    .enum(NORM_NAMES)
    .optional()
    .describe(
      'Normalisation of convolutions: none, group (8 groups, Wu and He 2018) or batch (over one logical shard, see docs/models.md). Default: group for resnet18 and wrn-16-4, which need one; none for the others.',
    ),
  denoise: denoiseSchema.prefault({}).describe('Feature-denoising blocks.'),
});

export const objectiveSchema = z.strictObject({
  loss: z
    .enum(LOSS_NAMES)
    .default('cross-entropy')
    .describe('Training loss, mean over samples: softmax cross-entropy, or squared error of logits to one-hot summed over classes.'),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe(
      'Share a of the target that is spread over all classes: (1 - a) one-hot + a / classes (Szegedy et al. 2016). Only in the training loss; attacks inside training and gradient penalties keep the one-hot target. 0 = off.',
    ),
});

export const gfaSchema = z.strictObject({
  alignment: z
    .enum(ALIGNMENTS)
    .default('tangential-energy')
    .describe(
      'What is penalised, c = cos(feature, gradient): tangential-energy = |g|^2(1-c^2) (ours), negative-gradient = 1+c, squared = 1-c^2, absolute = 1-|c|, positive = 1-c.',
    ),
  gradientOf: z
    .enum(GRADIENT_SOURCES)
    .optional()
    .describe(
      'Scalar whose gradient is aligned, per sample: cross-entropy, mse, true-logit (minus the logit of the label) or margin (best other logit minus the logit of the label). Default: the training loss.',
    ),
  layers: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      'Layers by name; `input` is the image. Default: first = [input], deep = [conv1, conv2, conv3], or [stem, stage1, stage2] in a residual network.',
    ),
  weights: z
    .array(z.number().min(0))
    .min(1)
    .optional()
    .describe('One weight per layer, same order. Default: first = [1], deep = [0.5, 0.3, 0.2].'),
  strength: z.number().min(0).default(1).describe('Factor on all weights.'),
  warmup: fraction.default(0.3).describe('Fraction of all steps over which the weights rise linearly from 0.'),
});

export const adversarialSchema = z.strictObject({
  epsLinf: fraction.default(8 / 255).describe('L-infinity radius in [0,1] pixel units.'),
  stepSizeLinf: fraction.default(2 / 255).describe('Step size in [0,1] pixel units.'),
  steps: positiveInt.default(7).describe('PGD steps inside each training step.'),
  randomStart: z.boolean().default(true).describe('Start from a uniform point of the ball.'),
  warmup: fraction
    .default(0)
    .describe(
      'Fraction of all steps over which radius and step size rise linearly from 0. Small networks that meet the full radius at once can end up with one answer for all images.',
    ),
});

export const tradesSchema = z.strictObject({
  beta: z.number().min(0).default(6).describe('Weight of KL(clean, attacked), the 1/lambda of the paper.'),
  steps: positiveInt.default(10).describe('Attack steps inside each training step.'),
});

export const martSchema = z.strictObject({
  lambda: z.number().min(0).default(5).describe('Weight of the KL term, itself weighted by 1 - p(label) of the clean image.'),
  steps: positiveInt.default(10).describe('PGD steps inside each training step.'),
});

export const fgsmRsSchema = z.strictObject({
  stepOfEps: z.number().positive().default(1.25).describe('Size of the one step, in units of adversarial.epsLinf.'),
});

export const gradAlignSchema = z.strictObject({
  lambda: z
    .number()
    .min(0)
    .default(0.2)
    .describe('Weight of 1 - cosine of the input gradients at the image and at a random point of the ball.'),
});

export const gradientNormSchema = z.strictObject({
  norm: z
    .enum(GRADIENT_NORMS)
    .default('l1')
    .describe('Norm of the input gradient, not squared: l1 answers L-infinity attacks, l2 L2 attacks.'),
  strength: z
    .number()
    .min(0)
    .default(8 / 255)
    .describe('Weight of the norm: the radius of the attack that it approximates, in [0,1] pixel units.'),
});

export const awpSchema = z.strictObject({
  gamma: z.number().min(0).default(5e-3).describe("Length of a layer's perturbation, relative to the norm of its weights."),
  steps: positiveInt.default(10).describe('PGD steps inside each training step.'),
});

export const strategySchema = z.strictObject({
  name: z
    .enum(STRATEGY_NAMES)
    .default('benchmark')
    .describe(
      'benchmark = plain; first = GFA on the first layer; deep = GFA on the first three; gaie = squared norm of the input gradient; gradient-norm = norm of the input gradient; denoise = plain training of a network with denoising blocks; adversarial = PGD training (Madry et al. 2018); fgsm-rs, grad-align = training on one-step attacks; trades, mart, awp = PGD training with another loss or perturbed weights. See docs/strategies.md.',
    ),
  gfa: gfaSchema.prefault({}).describe('GFA regulariser, used by `first` and `deep`; `gaie` reads gradientOf, strength and warmup.'),
  adversarial: adversarialSchema
    .prefault({})
    .describe(
      'Inner attack of `adversarial`. epsLinf and warmup hold for fgsm-rs, grad-align, trades, mart and awp as well; the last three read stepSizeLinf, mart and awp randomStart.',
    ),
  trades: tradesSchema.prefault({}).describe('Used by `trades` (Zhang et al. 2019).'),
  mart: martSchema.prefault({}).describe('Used by `mart` (Wang et al. 2020).'),
  fgsmRs: fgsmRsSchema.prefault({}).describe('Used by `fgsm-rs` (Wong et al. 2020).'),
  gradAlign: gradAlignSchema.prefault({}).describe('Used by `grad-align` (Andriushchenko and Flammarion 2020).'),
  gradientNorm: gradientNormSchema.prefault({}).describe('Used by `gradient-norm` (Simon-Gabriel et al. 2019).'),
  awp: awpSchema.prefault({}).describe('Used by `awp` (Wu et al. 2020).'),
});

export const optimizerSchema = z.strictObject({
  name: z.enum(OPTIMIZER_NAMES).default('adam').describe('sgd (momentum), adam (L2 in the gradient) or adamw (decoupled weight decay).'),
  learningRate: z.number().positive().default(1e-3).describe('Peak learning rate.'),
  momentum: z.number().min(0).lt(1).default(0.9).describe('Momentum of sgd.'),
  nesterov: z.boolean().default(false).describe('Nesterov momentum of sgd.'),
  beta1: z.number().min(0).lt(1).default(0.9).describe('First-moment decay of adam and adamw.'),
  beta2: z.number().min(0).lt(1).default(0.999).describe('Second-moment decay of adam and adamw.'),
  epsilon: z.number().positive().default(1e-8).describe('Denominator guard of adam and adamw.'),
  weightDecay: z.number().min(0).default(0).describe('L2 coefficient (sgd, adam) or decoupled decay (adamw); biases are not decayed.'),
  emaDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe(
      'Decay of the exponential moving average of the weights, which is then what is evaluated and left as weights.safetensors; 0.999 is usual, 0 = off. Counted in updates: with local SGD one per synchronisation.',
    ),
  gradientClipNorm: z.number().positive().optional().describe('Clip the global gradient norm to this value (default: off).'),
});

export const scheduleSchema = z.strictObject({
  name: z
    .enum(SCHEDULE_NAMES)
    .default('cosine')
    .describe('Learning rate over the run: constant, step (times `gamma` at each milestone) or cosine to `finalFraction`.'),
  warmup: fraction.default(0).describe('Fraction of all steps with a linear rise from 0.'),
  milestones: z.array(fraction).default([0.5, 0.75]).describe('Fractions of all steps at which `step` multiplies by `gamma`.'),
  gamma: z.number().positive().max(1).default(0.1).describe('Factor of `step`.'),
  finalFraction: fraction.default(0).describe('Final learning rate of cosine, as a fraction of the peak.'),
});

export const trainSchema = z.strictObject({
  epochs: z.number().positive().default(10).describe('Passes over the training images; fractions allowed.'),
  maxSteps: positiveInt
    .optional()
    .describe('Stop after this many steps at the latest. Schedules are stretched over the steps that are really run.'),
  batchSize: positiveInt.default(128).describe('Samples of one step over all workers.'),
  shards: positiveInt
    .default(8)
    .describe('Logical shards of a batch; they, not the workers, define the arithmetic. Must divide batchSize.'),
  gradients: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .describe(
      'Precision in which gradients are summed and sent. bfloat16 halves what workers send, for slow networks; results differ from float32, but still not with the number of workers.',
    ),
});

export const syncSchema = z.strictObject({
  everySteps: positiveInt
    .default(1)
    .describe(
      'Steps from one synchronisation to the next. 1 = gradients are averaged in every step. K > 1 = local SGD (DiLoCo): each shard trains K steps on its own samples with its own optimiser, then the changes are averaged; for slow networks.',
    ),
  outerLearningRate: z
    .number()
    .positive()
    .default(0.7)
    .describe('Local SGD: factor on the averaged change. 1 with outerMomentum 0 = plain averaging.'),
  outerMomentum: z.number().min(0).lt(1).default(0.9).describe('Local SGD: momentum of the averaged changes.'),
  outerNesterov: z.boolean().default(true).describe('Local SGD: Nesterov form of the outer momentum.'),
  innerState: z
    .enum(['average', 'reset'])
    .default('average')
    .describe(
      "Local SGD: what becomes of the optimiser's state vectors at a synchronisation: averaged over the shards (sent along, so adam sends three vectors), or started anew.",
    ),
});

export const checkpointSchema = z.strictObject({
  everySteps: positiveInt.default(200).describe('Checkpoint every N steps, besides each epoch and the end.'),
  everySeconds: z
    .number()
    .positive()
    .default(10)
    .describe(
      'Also when the last checkpoint is so old, so that a crash costs little; later where checkpoints would take more than 5 % of the time.',
    ),
  keep: positiveInt.default(3).describe('Newest checkpoints kept, besides the best.'),
});

export const evaluationSchema = z.strictObject({
  everyEpochs: z.number().positive().default(1).describe('Clean test accuracy every N epochs, and at the end.'),
  batchSize: positiveInt.default(100).describe('Samples of one compiled evaluation batch.'),
  attackBatchSize: positiveInt
    .default(16)
    .describe('Samples of one compiled batch of an attack. Images that are done leave, so small batches waste less; a GPU wants hundreds.'),
  robustSamples: positiveInt.default(1000).describe('Test images for the attacks (the first N); clean accuracy uses all.'),
  attacks: z
    .array(z.enum(IN_TRAINING_ATTACKS))
    .default([])
    .describe(
      'Attacks run after training, see docs/attacks.md. fgsm and pgd (10 steps of eps/4, random start) are quick; apgd, apgd-dlr (100 steps), apgd-t (9 times 100) and square (5000 queries) take long.',
    ),
  epsLinf: z
    .array(z.number().min(0).max(1))
    .default([2 / 255, 8 / 255])
    .describe('L-infinity radii in [0,1] pixel units.'),
});

export const limitsSchema = z.strictObject({
  connections: positiveInt.default(4096).describe('Open connections in all; further ones are cut.'),
  connectionsPerPeer: positiveInt.default(1024).describe('Open connections from one address; further ones are cut.'),
  calls: positiveInt.default(4096).describe('Open calls (worker streams and others) in all; further ones are refused.'),
  callsPerPeer: positiveInt
    .default(1024)
    .describe('Open calls of one name in certificates or tokens, or from one address over plain text; further ones are refused.'),
  firstCallMs: positiveInt
    .default(20_000)
    .describe('A new connection must have made its first call by then (TLS handshake included), or it is cut.'),
  firstMessageMs: positiveInt
    .default(20_000)
    .describe('A new call must have said what it wants by then (a worker its Hello), or it is refused.'),
  messageBytes: z
    .int()
    .min(2 * 2 ** 20)
    .default(4 * 2 ** 20)
    .describe('Largest message of a worker in a run or evaluation; vectors come in pieces of 1 MiB.'),
  resultBytes: z
    .int()
    .min(1024)
    .default(2 ** 20)
    .describe('Largest message with the result of a trial of a sweep.'),
  requestBytes: z
    .int()
    .min(1024)
    .default(64 * 2 ** 10)
    .describe('Largest message of all other calls.'),
  messagesPerSecond: positiveInt
    .default(10_000)
    .describe(
      'Messages of one worker stream, or calls over one connection, on average; twice as many at once. A worker above it is refused.',
    ),
  vectorsPerWorker: positiveInt
    .default(2)
    .describe('Vectors (gradients) that a worker may have announced and not finished; each takes the memory of all parameters.'),
});

export const clusterSchema = z.strictObject({
  host: z.string().default('127.0.0.1').describe('Address that the coordinator listens on.'),
  port: z.int().min(0).max(65535).default(0).describe('gRPC port of the coordinator; 0 = any free port.'),
  httpPort: z.int().min(0).max(65535).default(0).describe('HTTP port of /metrics, /livez, /readyz; 0 = any free port.'),
  minWorkers: positiveInt.default(1).describe('Steps wait until this many workers are ready.'),
  maxWorkers: positiveInt
    .optional()
    .describe(
      'At most so many workers compute at a time; further ones are spares that take over when one leaves. Must be at least minWorkers.',
    ),
  workerErrors: z
    .int()
    .min(0)
    .default(3)
    .describe('Times that `train` starts one of its worker processes again after it ended with an error.'),
  workerPreemptions: z
    .int()
    .min(0)
    .default(50)
    .describe('Times that `train` starts one of its worker processes again after it was ended by a signal: a preemption is not its fault.'),
  graceMs: positiveInt.default(20000).describe('After Ctrl-C or SIGTERM the step in progress gets so long before it is given up.'),
  heartbeatMs: positiveInt.default(500).describe('Interval of worker heartbeats; must be below leaseMs/2.'),
  leaseMs: positiveInt.default(3000).describe('A worker silent for this long loses its leases; must be below stepDeadlineMs.'),
  stepDeadlineMs: positiveInt.default(120000).describe('A step that takes longer has its outstanding shards leased again.'),
  workersLostMs: positiveInt
    .default(60000)
    .describe(
      'Once a worker has joined: with none for this long the run stops with a checkpoint. A worker waits as long for a lost coordinator.',
    ),
  limits: limitsSchema
    .prefault({})
    .describe('What peers may ask of a coordinator, see docs/security.md. Those of a sweep stand in its training config.'),
});

export const engineSchema = z.strictObject({
  name: z
    .enum(['auto', ...ENGINE_NAMES])
    .default('onnx:cpu')
    .describe(
      'Tensor engine: captured graphs on an ONNX Runtime provider, TensorFlow.js on libtensorflow, or eager TensorFlow.js in JavaScript (slow; an oracle for tests). auto = the fastest that passes a self-test on the worker.',
    ),
  device: z.int().min(0).default(0).describe('Index of the device, for engines that have several; `deepdefense doctor` lists them.'),
  threads: positiveInt
    .default(1)
    .describe('Threads of one compute process; part of the engine fingerprint, as results differ in the last bits.'),
});

export const configSchema = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[a-z0-9][a-z0-9-]*$/)
    .default('run')
    .describe('Short name; part of the run id. Lower-case letters, digits, hyphens.'),
  seed: z.int().min(0).default(1).describe('Seed of initialisation, order, augmentation and attacks.'),
  runsFolder: z.string().default('runs').describe('Folder that holds run folders.'),
  data: dataSchema.prefault({}),
  model: modelSchema.prefault({}),
  objective: objectiveSchema.prefault({}),
  strategy: strategySchema.prefault({}),
  optimizer: optimizerSchema.prefault({}),
  schedule: scheduleSchema.prefault({}),
  train: trainSchema.prefault({}),
  sync: syncSchema.prefault({}),
  checkpoint: checkpointSchema.prefault({}),
  evaluation: evaluationSchema.prefault({}),
  cluster: clusterSchema.prefault({}),
  engine: engineSchema.prefault({}),
});

/** What a user may write. */
export type ConfigInput = z.input<typeof configSchema>;
/** What a test set is run through: nothing, or an attack. */
export type EvaluationName = 'clean' | (typeof IN_TRAINING_ATTACKS)[number];
/** All keys resolved except those that stay optional; what is printed, stored and sent. */
export type Config = z.output<typeof configSchema>;
/** What peers may ask of a coordinator. */
export type ClusterLimits = Config['cluster']['limits'];
/** GFA after resolution: layers, weights and gradient source are always present. */
export type ResolvedGfa = { readonly [Key in keyof Config['strategy']['gfa']]-?: NonNullable<Config['strategy']['gfa'][Key]> };
