/** @file Rules that involve several keys; each returns the problem or undefined. They see a config that the schema accepts. */
import type { ConfigProblem } from './config-problem.ts';
import { quoteValue } from './config-problem.ts';
import { nearestName } from './edit-distance.ts';
import { denoisedLayers, featureLayers, imageLayers, normOf } from './architecture.ts';
import { MODELS } from './model-catalogue.ts';
import { resolveGfa } from './resolve-gfa.ts';
import type { Config } from './schema.ts';

interface CrossCheck {
  /** Sections that the rule reads; it is skipped where one of them has a problem of its own. */
  readonly sections: readonly (keyof Config)[];
  check(config: Config): readonly ConfigProblem[];
}

const gfaLayersExist: CrossCheck = {
  sections: ['model', 'strategy'],
  check({ model, strategy }) {
    const known = featureLayers(model);
    const unknown = (layer: string): string => `strategy.gfa.layers: model "${model.name}" has no feature layer "${layer}"`;
    return unknownLayers('strategy.gfa.layers', strategy.gfa.layers ?? [], known, unknown);
  },
};

const denoisedLayersExist: CrossCheck = {
  sections: ['model'],
  check({ model }) {
    const known = imageLayers(model);
    const unknown = (layer: string): string => `model.denoise.after: model "${model.name}" has no convolution or stage "${layer}"`;
    return unknownLayers('model.denoise.after', model.denoise.after ?? [], known, unknown);
  },
};

function unknownLayers(
  path: string,
  layers: readonly string[],
  known: readonly string[],
  what: (layer: string) => string,
): readonly ConfigProblem[] {
  return layers.flatMap((layer, index): ConfigProblem[] => {
    if (known.includes(layer)) return [];
    const nearest = nearestName(layer, known);
    return [
      {
        code: 'CONFIG_UNKNOWN_LAYER',
        path: `${path}.${index}`,
        what: what(layer),
        expected: `one of ${known.join(', ')}`,
        got: quoteValue(layer),
        ...(nearest === undefined ? {} : { todo: `did you mean "${nearest}"?` }),
      },
    ];
  });
}

const gfaLayersDiffer: CrossCheck = {
  sections: ['strategy'],
  check({ strategy }) {
    return repeatedLayer('strategy.gfa.layers', strategy.gfa.layers ?? [], 'name it once and give it the sum of the weights');
  },
};

const denoisedLayersDiffer: CrossCheck = {
  sections: ['model'],
  check: ({ model }) => repeatedLayer('model.denoise.after', denoisedLayers(model), 'name it once'),
};

const residualIsNormalised: CrossCheck = {
  sections: ['model'],
  check({ model }) {
    if (MODELS[model.name].kind !== 'residual' || normOf(model) !== 'none') return [];
    return [
      {
        code: 'CONFIG_INVALID',
        path: 'model.norm',
        what: `model.norm: model "${model.name}" can't be trained without normalisation: its sums would double in variance from block to block`,
        expected: 'group or batch',
        got: '"none"',
        todo: 'leave it out for group',
      },
    ];
  },
};

function repeatedLayer(path: string, layers: readonly string[], todo: string): readonly ConfigProblem[] {
  const repeated = layers.find((layer, index) => layers.indexOf(layer) !== index);
  if (repeated === undefined) return [];
  return [
    {
      code: 'CONFIG_INVALID',
      path,
      what: `${path}: layer "${repeated}" is named twice`,
      expected: 'every layer at most once',
      got: quoteValue(layers),
      todo,
    },
  ];
}

const gaieHasOneLayer: CrossCheck = {
  sections: ['strategy'],
  check({ strategy: { name, gfa } }) {
    if (name !== 'gaie') return [];
    return (['layers', 'weights'] as const).flatMap((key): ConfigProblem[] => {
      if (gfa[key] === undefined) return [];
      return [
        {
          code: 'CONFIG_INVALID',
          path: `strategy.gfa.${key}`,
          what: `strategy.gfa.${key}: strategy "gaie" penalises the input gradient only`,
          expected: `no ${key}`,
          got: quoteValue(gfa[key]),
          todo: 'leave it out; strategy.gfa.strength sets the weight of the penalty',
        },
      ];
    });
  },
};

const denoiseHasBlocks: CrossCheck = {
  sections: ['model', 'strategy'],
  check({ model, strategy }) {
    const { filter } = model.denoise;
    if (strategy.name !== 'denoise' || filter !== 'none') return [];
    return [
      {
        code: 'CONFIG_INVALID',
        path: 'model.denoise.filter',
        what: 'model.denoise.filter: strategy "denoise" trains a network with denoising blocks, and this one has none',
        expected: 'a filter other than none',
        got: quoteValue(filter),
        todo: 'set model.denoise.filter, or strategy.name benchmark',
      },
    ];
  },
};

/** Strategies whose formulas are about the softmax. */
const SOFTMAX_STRATEGIES: readonly string[] = ['trades', 'mart'] satisfies Config['strategy']['name'][];

const strategyFitsObjective: CrossCheck = {
  sections: ['objective', 'strategy'],
  check({ objective, strategy: { name } }) {
    const problems: ConfigProblem[] = [];
    if (SOFTMAX_STRATEGIES.includes(name) && objective.loss !== 'cross-entropy') {
      problems.push({
        code: 'CONFIG_INVALID',
        path: 'objective.loss',
        what: `objective.loss: strategy "${name}" is defined for the softmax`,
        expected: 'cross-entropy',
        got: quoteValue(objective.loss),
        todo: 'set objective.loss cross-entropy',
      });
    }
    if (name === 'mart' && objective.labelSmoothing > 0) {
      problems.push({
        code: 'CONFIG_INVALID',
        path: 'objective.labelSmoothing',
        what: 'objective.labelSmoothing: the loss of strategy "mart" knows only one right class',
        expected: '0',
        got: quoteValue(objective.labelSmoothing),
        todo: 'leave it out',
      });
    }
    return problems;
  },
};

const gfaLengthsAgree: CrossCheck = {
  sections: ['strategy'],
  check(config) {
    const { layers, weights } = resolveGfa(config);
    if (layers.length === weights.length) return [];
    const { gfa, name } = config.strategy;
    const missing = gfa.weights === undefined ? 'weights' : gfa.layers === undefined ? 'layers' : undefined;
    return [
      {
        code: 'CONFIG_LENGTH_MISMATCH',
        path: 'strategy.gfa.weights',
        what: 'strategy.gfa: layers and weights differ in length',
        expected: 'one weight per layer',
        got: `${layers.length} layers, ${weights.length} weights`,
        todo:
          missing === undefined
            ? 'add or remove a weight'
            : `also set strategy.gfa.${missing}; these are the defaults of strategy "${name}"`,
      },
    ];
  },
};

const batchDividesIntoShards: CrossCheck = {
  sections: ['train'],
  check({ train: { batchSize, shards } }) {
    if (batchSize % shards === 0) return [];
    const below = batchSize - (batchSize % shards);
    const choices = [below, below + shards].filter((size) => size > 0).join(' or ');
    return [
      {
        code: 'CONFIG_BATCH_NOT_DIVISIBLE',
        path: 'train.batchSize',
        what: "train.batchSize isn't divisible by train.shards",
        expected: 'shards of equal size',
        got: `batchSize ${batchSize}, shards ${shards}`,
        todo: `for example train.batchSize ${choices}`,
      },
    ];
  },
};

const timeoutsAreOrdered: CrossCheck = {
  sections: ['cluster'],
  check({ cluster: { heartbeatMs, leaseMs, stepDeadlineMs } }) {
    const problems: ConfigProblem[] = [];
    if (heartbeatMs >= leaseMs / 2) {
      problems.push({
        code: 'CONFIG_TIMEOUT_ORDER',
        path: 'cluster.heartbeatMs',
        what: 'cluster.heartbeatMs is too long for cluster.leaseMs: one lost heartbeat would cost a healthy worker its leases',
        expected: 'heartbeatMs < leaseMs / 2',
        got: `heartbeatMs ${heartbeatMs}, leaseMs ${leaseMs}`,
        todo: `for example cluster.leaseMs ${heartbeatMs * 6}`,
      });
    }
    if (leaseMs >= stepDeadlineMs) {
      problems.push({
        code: 'CONFIG_TIMEOUT_ORDER',
        path: 'cluster.leaseMs',
        what: 'cluster.leaseMs is too long for cluster.stepDeadlineMs: a step would be leased again before a dead worker is noticed',
        expected: 'leaseMs < stepDeadlineMs',
        got: `leaseMs ${leaseMs}, stepDeadlineMs ${stepDeadlineMs}`,
        todo: `for example cluster.stepDeadlineMs ${leaseMs * 40}`,
      });
    }
    return problems;
  },
};

const workersSuffice: CrossCheck = {
  sections: ['cluster'],
  check({ cluster: { minWorkers, maxWorkers } }) {
    if (maxWorkers === undefined || maxWorkers >= minWorkers) return [];
    return [
      {
        code: 'CONFIG_INVALID',
        path: 'cluster.maxWorkers',
        what: 'cluster.maxWorkers is below cluster.minWorkers: steps would wait for workers that get no work',
        expected: 'maxWorkers >= minWorkers',
        got: `maxWorkers ${maxWorkers}, minWorkers ${minWorkers}`,
        todo: `for example cluster.maxWorkers ${minWorkers}, or leave it out for no limit`,
      },
    ];
  },
};

const CROSS_CHECKS: readonly CrossCheck[] = [
  gfaLayersExist,
  gfaLayersDiffer,
  denoisedLayersExist,
  denoisedLayersDiffer,
  gaieHasOneLayer,
  residualIsNormalised,
  gfaLengthsAgree,
  denoiseHasBlocks,
  strategyFitsObjective,
  batchDividesIntoShards,
  timeoutsAreOrdered,
  workersSuffice,
];

/** All cross-key problems, leaving out rules that read a section in `skipSections`. */
export function crossCheck(config: Config, skipSections: ReadonlySet<string> = new Set()): readonly ConfigProblem[] {
  return CROSS_CHECKS.filter(({ sections }) => !sections.some((section) => skipSections.has(section))).flatMap((rule) =>
    rule.check(config),
  );
}
