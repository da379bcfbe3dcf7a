export { type DiskFaults, diskFault } from './disk-faults.ts';
export { packBfloat16, roundToBfloat16 } from './bfloat16.ts';
export { type Clock, systemClock } from './clock.ts';
export {
  DeepDefenseError,
  ERROR_CODES,
  type ErrorCode,
  errorCodeOr,
  type ErrorParts,
  EXIT_CODES,
  type ExitName,
  isDeepDefenseError,
} from './errors.ts';
export { type FileLockOptions, takeFileLock, withFileLock } from './file-lock.ts';
export { sha256, writeFileAtomic } from './files.ts';
export { RANDOM_PURPOSES, Random, type RandomPurpose } from './random.ts';
export { type DType, sizeOf, type TensorSpec, type TensorValue, type TypedArray } from './tensor-value.ts';
export {
  CHECKPOINT_FORMAT,
  checkFormat,
  PACKAGE_VERSION,
  PROTOCOL_VERSION,
  packageVersionOf,
  RUN_FORMAT,
  SWEEP_FORMAT,
} from './version.ts';
export { collectYoungObjects } from './young-collection.ts';
export {
  type AdamFactors,
  type MomentumFactors,
  plainVectorMath,
  type SgdFactors,
  BYTES_PER_VALUE,
  type SumPrecision,
  type VectorMath,
  type VectorRange,
} from './vector-math.ts';
export { WasmVectorMath, type WasmVectorMathOptions } from './vector-math-wasm.ts';
export { ENGINE_NAMES, type EngineName, type EngineWish } from './engine-names.ts';
export { type Role, ROLES } from './roles.ts';
