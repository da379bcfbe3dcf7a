/** @file The final weights of a run as a safetensors file, for everyone who wants the model and not the run. */
import { PACKAGE_VERSION, sizeOf, writeFileAtomic } from '../core/index.ts';
import { weightsToUse } from '../optimizers/index.ts';
import { encodeSafetensors, type NamedTensor } from '../wire/index.ts';
import { parametersHash } from './checkpoint.ts';
import type { RunContext } from './run-context.ts';

/**
 * Writes the parameters, or their average, by name with PyTorch's layouts; metadata says what model they belong to and where they come from.
 * @throws DeepDefenseError STORAGE_FAILED
 */
export async function writeWeights(path: string, { config, runId, specs, state, datasetHash, pool }: RunContext): Promise<void> {
  const weights = weightsToUse(state.parameters, state.optimizer);
  let from = 0;
  const tensors = specs.map(({ name, shape }): NamedTensor => {
    const data = weights.subarray(from, from + sizeOf(shape));
    from += data.length;
    return { name, value: { shape, dtype: 'float32', data } };
  });
  const metadata = {
    format: 'deepdefense-weights-1',
    packageVersion: PACKAGE_VERSION,
    runId,
    model: config.model.name,
    inputRange: config.model.inputRange,
    network: JSON.stringify(config.model),
    strategy: config.strategy.name,
    step: String(state.step),
    datasetHash,
    engineFingerprint: pool.membership.engineFingerprint ?? '',
    weightsSha256: parametersHash(weights),
    emaDecay: String(config.optimizer.emaDecay),
  };
  await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}
