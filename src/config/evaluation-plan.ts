/**
 * @file What the coordinator of `deepdefense evaluate` and its workers must agree on: the networks, in order, the seed of the attacks and
 * the size of the compiled batches. It travels as JSON in Welcome.
 */
import { z } from 'zod';
import { DeepDefenseError, sizeOf, type TensorSpec } from '../core/index.ts';
import { parameterSpecs } from './architecture.ts';
import { configSchema } from './schema.ts';

const planSchema = z.strictObject({
  /** Of the attacks. */
  seed: z.int().min(0),
  /** Images of one compiled batch, of every network. */
  batchSize: z.int().min(1),
  /** Configs of the networks; what counts is model and training loss. */
  networks: z.array(configSchema).min(1),
});

export type EvaluationPlan = z.output<typeof planSchema>;

/**
 * Reads a plan as it came over the wire.
 * @throws DeepDefenseError PROTOCOL_SCHEMA when this version doesn't understand it.
 */
export function parseEvaluationPlan(json: string): EvaluationPlan {
  const parsed = planSchema.safeParse(JSON.parse(json));
  if (parsed.success) return parsed.data;
  throw new DeepDefenseError('PROTOCOL_SCHEMA', {
    what: "this version doesn't understand the evaluation's plan",
    got: parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
    todo: 'install the same version of deepdefense on both sides',
  });
}

/** The parameters of all networks in the order in which they travel; names begin with the network's position. */
export function evaluationSpecs({ networks }: Pick<EvaluationPlan, 'networks'>): readonly TensorSpec[] {
  return networks.flatMap(({ model }, network) => parameterSpecs(model).map((spec) => ({ ...spec, name: `${network}.${spec.name}` })));
}

/** Elements of the one vector that holds the parameters of all networks. */
export function evaluationVectorLength(plan: Pick<EvaluationPlan, 'networks'>): number {
  return evaluationSpecs(plan).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
