/**
 * @file What is said where the tensor packages were left out: they are npm's optional dependencies of this package, and the image of the
 * coordinator has none of them.
 */
import { createRequire } from 'node:module';
import { DeepDefenseError } from '../core/index.ts';

/** The optional dependencies of package.json. */
const TENSOR_PACKAGES = ['@tensorflow/tfjs', 'onnxruntime-node'] as const;

/**
 * Checked before worker processes are started: each of them would end with the same error, in its log.
 * @param isInstalled for tests.
 * @throws DeepDefenseError ENGINE_UNAVAILABLE when a tensor package is missing.
 */
export function requireTensorPackages(isInstalled: (name: string) => boolean = canResolve): void {
  const missing = TENSOR_PACKAGES.find((name) => !isInstalled(name));
  if (missing !== undefined) throw withoutTensorPackage(missing);
}

/** The error to show for an import that failed because a tensor package is missing; undefined for any other error. */
export function missingTensorPackage(error: unknown): DeepDefenseError | undefined {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') return undefined;
  const name = TENSOR_PACKAGES.find((each) => error.message.includes(`'${each}'`));
  return name === undefined ? undefined : withoutTensorPackage(name, error);
}

function withoutTensorPackage(name: string, cause?: Error): DeepDefenseError {
  return new DeepDefenseError('ENGINE_UNAVAILABLE', {
    what: 'this command computes with tensors, and this installation has no tensor packages',
    expected: `the package "${name}"`,
    got: 'an installation without it, as in the image of the coordinator',
    todo: 'in containers use an image of a worker, such as deepdefense/worker-cpu; elsewhere install with: npm ci --include=optional',
    ...(cause !== undefined && { cause }),
  });
}

function canResolve(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}
