/** @file One hash that two processes compare before they exchange tensors. */
import { sha256, type TensorSpec } from '../core/index.ts';

/** SHA-256 (hexadecimal) of names, shapes and dtypes in order: equal hashes mean that a flat vector has the same meaning on both sides. */
export function schemaHash(specs: readonly TensorSpec[]): string {
  return sha256(JSON.stringify(specs.map(({ name, shape, dtype }) => [name, [...shape], dtype])));
}
