/**
 * @file Finds and loads @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node, and makes it use this project's copy of
 * TensorFlow.js. Loading is for the life of the process: libtensorflow reads its settings once.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { DeepDefenseError } from '../core/index.ts';
import { tf } from './tensorflow.ts';

/** Names a folder whose node_modules holds the package; only that folder is searched then. */
export const FOLDER_VARIABLE = 'DEEPDEFENSE_TFJS_NODE';

const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/** A package that was found and not loaded yet. */
export interface FoundPackage {
  readonly name: (typeof PACKAGES)[number];
  readonly version: string;
  readonly gpu: boolean;
  /** Resolves what the package itself would find. */
  readonly require: NodeJS.Require;
}

/** What the engine uses of the loaded package's backend. */
export interface TensorflowBackend extends tf.KernelBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: {
    /** Version of libtensorflow. */
    readonly TF_Version: string;
    readonly TF_ATTR_INT: number;
    readonly TF_ATTR_STRING: number;
    readonly TF_ATTR_TYPE: number;
    readonly TF_FLOAT: number;
  };
  /** Runs one operation of libtensorflow. */
  executeSingleOutput(name: string, attributes: readonly object[], inputs: readonly tf.TensorInfo[]): tf.TensorInfo;
}

const ownRequire = createRequire(import.meta.url);

/**
 * Finds the package, the one for GPUs first: in the folder that DEEPDEFENSE_TFJS_NODE names, else where deepdefense is installed.
 * @throws DeepDefenseError ENGINE_UNAVAILABLE when neither is there or it belongs to another version of TensorFlow.js
 */
export function findPackage(env: NodeJS.ProcessEnv = process.env): FoundPackage {
  const folder = env[FOLDER_VARIABLE];
  const from = folder ? createRequire(join(resolve(folder), 'package.json')) : ownRequire;
  for (const name of PACKAGES) {
    let path: string;
    try {
      path = from.resolve(`${name}/package.json`);
    } catch {
      continue;
    }
    const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
    if (version !== tf.version.tfjs)
      throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
        what: `the engine "tensorflow" can't use ${name}`,
        expected: `version ${tf.version.tfjs}, which is that of @tensorflow/tfjs here`,
        got: `version ${version} in "${path}"`,
        todo: `npm install ${name}@${tf.version.tfjs}`,
      });
    return { name, version, gpu: name.endsWith('-gpu'), require: createRequire(path) };
  }
  throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
    what: 'the engine "tensorflow" needs a package that is not part of deepdefense',
    expected: `${PACKAGES.join(' or ')}, version ${tf.version.tfjs}`,
    got: folder ? `neither in "${folder}", which ${FOLDER_VARIABLE} names` : 'neither where deepdefense is installed',
    todo: folder
      ? `run scripts/build-tfjs-node.sh "${folder}", or unset ${FOLDER_VARIABLE}`
      : `npm install @tensorflow/tfjs-node@${tf.version.tfjs} (or tfjs-node-gpu, on a machine with CUDA); where libtensorflow can't be downloaded, scripts/build-tfjs-node.sh`,
  });
}

/**
 * Loads the package into this process; the settings of libtensorflow must be in the environment by now.
 * @throws DeepDefenseError ENGINE_UNAVAILABLE when its native part can't be loaded or it works on another copy of TensorFlow.js
 */
export function loadPackage({ name, require }: FoundPackage): TensorflowBackend {
  let loaded: typeof tf;
  try {
    shareTensorflow(require);
    restoreRemovedHelpers();
    loaded = require(name) as typeof tf;
  } catch (cause) {
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: `the engine "tensorflow" can't load ${name}`,
      expected: 'a package whose install step ran, with libtensorflow for this platform',
      got: cause instanceof Error ? cause.message : String(cause),
      todo: `npm rebuild ${name} --foreground-scripts; where libtensorflow can't be downloaded, scripts/build-tfjs-node.sh`,
      cause,
    });
  }
  if (loaded.tidy !== tf.tidy)
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: `${name} works on another copy of TensorFlow.js than deepdefense`,
      expected: 'one copy of @tensorflow/tfjs in the process',
      got: `a second one in "${require.resolve('@tensorflow/tfjs')}"`,
      todo: `install ${name} where deepdefense is installed, or set ${FOLDER_VARIABLE}`,
    });
  return tf.engine().findBackend('tensorflow') as TensorflowBackend;
}

/**
 * Puts this project's modules where the package will look for its own. A package outside the project's node_modules brings a
 * second copy of TensorFlow.js otherwise, with tensors, gradients and classes that the first doesn't know.
 */
function shareTensorflow(theirs: NodeJS.Require): void {
  const beneath = createRequire(ownRequire.resolve('@tensorflow/tfjs'));
  for (const module of ['@tensorflow/tfjs', '@tensorflow/tfjs-core']) {
    beneath(module);
    theirs.cache[theirs.resolve(module)] = theirs.cache[beneath.resolve(module)];
  }
}

/** The package calls helpers of `node:util` that Node.js 23 removed. */
function restoreRemovedHelpers(): void {
  const util = ownRequire('node:util') as Record<string, unknown>;
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
}
