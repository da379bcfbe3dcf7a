/**
 * @file The one schema of a sweep file: strict, every default stated once, every field described (docs/sweep-configuration.md and the
 * JSON Schema are generated from here).
 */
import { z } from 'zod';
import { IN_TRAINING_ATTACKS } from '../attack-catalogue.ts';
import { FUNCTION_NAMES } from './test-function-names.ts';

const positiveInt = z.int().min(1);
const scalar = z.union([z.string(), z.number(), z.boolean()]);

export const SAMPLER_NAMES = ['grid', 'random', 'sobol', 'tpe', 'gp', 'cma-es', 'nsga2'] as const;
export const SCHEDULER_NAMES = ['none', 'median', 'successive-halving', 'asha', 'hyperband', 'pbt'] as const;
export const OBJECTIVE_NAMES = ['clean-accuracy', 'robust-accuracy', 'training-cost', 'value', 'value2'] as const;
export const WEIGHT_FORMS = ['free', 'simplex', 'monotone', 'tied', 'sparse', 'ablation'] as const;

/** A condition on another parameter of the space. */
const when = z
  .record(z.string(), z.array(scalar).min(1))
  .optional()
  .describe('Only where each named parameter has one of the listed values; elsewhere the key keeps what the base config says.');

const gridPoints = positiveInt.optional().describe('Values of the grid sampler, evenly spaced from low to high.');

export const floatSchema = z.strictObject({
  type: z.literal('float'),
  low: z.number().describe('Smallest value.'),
  high: z.number().describe('Largest value.'),
  step: z.number().positive().optional().describe('Distance of allowed values, from low on; unset = any value.'),
  points: gridPoints,
  when,
});

export const logFloatSchema = z.strictObject({
  type: z.literal('log-float'),
  low: z.number().positive().describe('Smallest value.'),
  high: z.number().positive().describe('Largest value.'),
  points: gridPoints,
  when,
});

export const intSchema = z.strictObject({
  type: z.literal('int'),
  low: z.int().describe('Smallest value.'),
  high: z.int().describe('Largest value.'),
  log: z.boolean().default(false).describe('Equal chances for equal ratios instead of equal distances; needs low >= 1.'),
  points: gridPoints,
  when,
});

export const categorySchema = z.strictObject({
  type: z.literal('category'),
  values: z
    .array(z.union([scalar, z.array(scalar)]))
    .min(1)
    .describe('The values, without order.'),
  when,
});

export const layerWeightsSchema = z.strictObject({
  type: z.literal('layer-weights'),
  layers: z.array(z.string()).min(1).describe('Layers by name, from the input on. Layers of weight 0 are left out of the config.'),
  form: z
    .enum(WEIGHT_FORMS)
    .default('free')
    .describe(
      'free = one weight per layer; simplex = shares that sum to 1 (set strategy.gfa.strength for the total); monotone = not rising from layer to layer; tied = one weight per group; sparse = each layer on or off, with a weight where it is on; ablation = a choice of `base` as it is, without each layer, and with each layer alone.',
    ),
  low: z.number().min(0).default(0).describe('Smallest weight of a layer that is on; not of simplex and ablation.'),
  high: z.number().positive().default(1).describe('Largest weight; not of simplex and ablation.'),
  log: z.boolean().default(false).describe('Equal chances for equal ratios; of free, tied and sparse, and needs low > 0.'),
  points: positiveInt.optional().describe('Values per weight of the grid sampler; of free, tied and sparse.'),
  groups: z.array(z.array(z.string()).min(1)).min(1).optional().describe('tied: the groups; every layer in exactly one.'),
  minLayers: positiveInt.default(1).describe('sparse: at least so many layers are on.'),
  maxLayers: positiveInt.optional().describe('sparse: at most so many layers are on.'),
  base: z.array(z.number().min(0)).min(1).optional().describe('ablation: the full weights, one per layer.'),
  when,
});

/** One parameter of the space. */
export const parameterSchema = z.discriminatedUnion('type', [floatSchema, logFloatSchema, intSchema, categorySchema, layerWeightsSchema]);

export const constraintSchema = z.strictObject({
  sum: z
    .array(z.string())
    .min(1)
    .describe(
      'Parameters whose values are added; a layer weight is strategy.gfa.weights.LAYER, and the vector alone stands for all of them.',
    ),
  min: z.number().optional().describe('Smallest allowed sum.'),
  max: z.number().optional().describe('Largest allowed sum.'),
});

export const rungSchema = z.strictObject({
  epochs: z
    .number()
    .positive()
    .describe('Epochs of the base schedule that a trial has trained when it is measured; of a test function its budget.'),
  attacks: z
    .array(z.enum(IN_TRAINING_ATTACKS))
    .optional()
    .describe('Attacks of this measurement, so that attack strength rises with the rungs; unset = evaluation.attacks of the base config.'),
  robustSamples: positiveInt.optional().describe('Images of the attacks; unset = evaluation.robustSamples of the base config.'),
});

export const objectiveEntrySchema = z.strictObject({
  name: z
    .enum(OBJECTIVE_NAMES)
    .describe(
      'clean-accuracy; robust-accuracy = worst case over the attacks of the rung, image by image; training-cost = training passes of one image, counted, in millions, so that it does not depend on the machine; value and value2 = what a test function returns.',
    ),
  goal: z.enum(['maximize', 'minimize']).optional().describe('Default: maximize accuracies, minimize the others.'),
  epsLinf: z.number().min(0).max(1).optional().describe('Radius of robust-accuracy; one of evaluation.epsLinf. Default: the largest.'),
});

export const samplerSchema = z.strictObject({
  name: z.enum(SAMPLER_NAMES).default('tpe').describe('How new candidates are chosen; see docs/sweeps.md.'),
  startup: positiveInt.default(10).describe('tpe, gp: candidates drawn from a Sobol sequence before the model is used.'),
  population: z
    .int()
    .min(2)
    .optional()
    .describe('cma-es, nsga2: candidates of one generation. Default: by the number of parameters; 20 for nsga2.'),
});

export const schedulerSchema = z.strictObject({
  name: z.enum(SCHEDULER_NAMES).default('none').describe('Which candidates go on to the next rung; see docs/sweeps.md.'),
  reduction: z.number().gt(1).default(3).describe('successive-halving, asha, hyperband: one of so many goes on.'),
  grace: positiveInt.default(3).describe('median: results of other candidates that a rung needs before anything is stopped there.'),
  population: z
    .int()
    .min(2)
    .default(8)
    .describe(
      'pbt: candidates that train side by side. Forks of the best take the places of the worst; budget.candidates counts them, too.',
    ),
  quantile: z
    .number()
    .positive()
    .max(0.5)
    .default(0.25)
    .describe('pbt: share of the population that is replaced on each rung, and share that it is replaced from; one candidate at least.'),
  resample: z
    .number()
    .min(0)
    .max(1)
    .default(0.25)
    .describe("pbt: probability that a fork draws a parameter anew, in place of 0.8 or 1.2 times its parent's."),
  stopOnFlags: z
    .boolean()
    .default(false)
    .describe(
      'Stop candidates whose measurements look like masked gradients: a stronger attack leaves more images right than a weaker one.',
    ),
});

export const budgetSchema = z.strictObject({
  candidates: positiveInt.default(20).describe('Candidates that are tried; of grid: at most so many.'),
  hours: z
    .number()
    .positive()
    .optional()
    .describe('No new work starts this long after the first start; a limit by the clock makes the end of a sweep depend on timing.'),
});

export const sweepSchema = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[a-z0-9][a-z0-9-]*$/)
    .default('sweep')
    .describe('Short name; part of the sweep id. Lower-case letters, digits, hyphens.'),
  seed: z.int().min(0).default(1).describe('Seed of the samplers.'),
  sweepsFolder: z.string().default('sweeps').describe('Folder that holds sweep folders.'),
  base: z.string().optional().describe('Training config that every trial starts from, a YAML file; relative to the sweep file.'),
  config: z
    .record(z.string(), z.unknown())
    .prefault({})
    .describe('Keys of the training config, over those of base; docs/configuration.md.'),
  function: z
    .enum(FUNCTION_NAMES)
    .optional()
    .describe('A test function in place of training, to try samplers out; parameters x1, x2, ... in [0,1].'),
  functionSeconds: z.number().min(0).default(0).describe('Time that one measurement of the test function takes.'),
  space: z
    .record(z.string(), parameterSchema)
    .describe('Parameters by config key; a vector of layer weights stands under strategy.gfa.weights.'),
  constraints: z.array(constraintSchema).default([]).describe('Points outside are not tried.'),
  objectives: z.array(objectiveEntrySchema).min(1).describe('What counts. With several, candidates are compared by dominance.'),
  seeds: z
    .array(z.int().min(0))
    .min(1)
    .default([1])
    .describe('Seeds of training: every candidate is trained once with each, the same for all, so that comparisons are paired.'),
  rungs: z
    .array(rungSchema)
    .min(1)
    .optional()
    .describe('Measurements of a trial, in rising order of epochs. Default: one, after train.epochs.'),
  sampler: samplerSchema.prefault({}),
  scheduler: schedulerSchema.prefault({}),
  budget: budgetSchema.prefault({}),
  mode: z
    .enum(['timing-invariant', 'throughput'])
    .default('timing-invariant')
    .describe(
      'timing-invariant = trials, decisions and results depend on the seed only, not on which worker finishes first or how many there are; throughput = decides as results arrive, and records their order for replay.',
    ),
  lanes: positiveInt
    .default(8)
    .describe('Trials under way at a time, in the order that decides. Results depend on it; it should be at least the number of workers.'),
  gang: positiveInt
    .default(1)
    .describe(
      'Compute workers that train one trial together, on the machine of the worker that has it: on devices of their own where it has several, else as threads. Results do not depend on it.',
    ),
  maxParallel: positiveInt.optional().describe('Trials computed at a time at most; results do not depend on it.'),
  priority: z
    .number()
    .positive()
    .max(1000)
    .default(1)
    .describe(
      'Share of the time of workers that serve several sweeps, relative to the other sweeps of the tenant: one of 3 gets three times that of one of 1 while both have work. `sweep priority` changes it while the sweep runs; results do not depend on it.',
    ),
  tenant: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[a-z0-9][a-z0-9-]*$/)
    .optional()
    .describe(
      'Team that the sweep counts for: tenants share the time of a pool of workers equally, and `deepdefense quota` limits the trials that one has under way. Unset = default.',
    ),
  errors: z.int().min(0).default(2).describe('Times that a trial is tried again after an error before it is given up.'),
  leaseMs: z.int().min(500).default(10_000).describe('A worker that gives no sign for so long loses its trial to another.'),
  preemptions: z.int().min(0).default(20).describe('Times that a trial is tried again because its worker was lost.'),
});

/** What a user may write. */
export type SweepInput = z.input<typeof sweepSchema>;
/** All defaults filled in. */
export type SweepConfig = z.output<typeof sweepSchema>;
export type SpaceParameter = z.output<typeof parameterSchema>;
export type LayerWeights = z.output<typeof layerWeightsSchema>;
export type SamplerName = (typeof SAMPLER_NAMES)[number];
export type SchedulerName = (typeof SCHEDULER_NAMES)[number];
