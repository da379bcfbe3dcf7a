/** @file Checks the inputs of a compiled program against its specs. */
import { DeepDefenseError, sizeOf, type TensorSpec, type TensorValue } from '../core/index.ts';
import type { TensorValues } from './types.ts';

/** The inputs in the order of the specs. @throws DeepDefenseError ENGINE_BAD_INPUT */
export function checkInputs(program: string, specs: readonly TensorSpec[], inputs: TensorValues): TensorValue[] {
  return specs.map((spec) => {
    const value = inputs[spec.name];
    const got = value && `${value.dtype} [${value.shape.join(',')}] with ${value.data.length} values`;
    const fits =
      value && value.dtype === spec.dtype && value.shape.join() === spec.shape.join() && value.data.length === sizeOf(spec.shape);
    if (!fits)
      throw new DeepDefenseError('ENGINE_BAD_INPUT', {
        what: `program "${program}" can't take its input "${spec.name}"`,
        expected: `${spec.dtype} [${spec.shape.join(',')}]`,
        got: got ?? `nothing; inputs given: ${Object.keys(inputs).join(', ') || 'none'}`,
        todo: 'pass a tensor of that name, shape and dtype',
      });
    return value;
  });
}
