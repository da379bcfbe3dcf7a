/** @file Reads the protocol files of the package; the same code works from `src/` and from `dist/`. */
import { fileURLToPath } from 'node:url';
import { loadSync, type MethodDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { DeepDefenseError } from '../core/index.ts';

/** Folder that import paths of .proto files are relative to. Both src/wire and dist/wire lie two levels below the package root. */
const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

/** Absolute path of the protocol file between a run's coordinator and its workers. */
export const PROTO_PATH: string = fileURLToPath(new URL('../../proto/deepdefense/v1/coordinator.proto', import.meta.url));
const SWEEP_PROTO_PATH = fileURLToPath(new URL('../../proto/deepdefense/v1/sweep.proto', import.meta.url));

/** The two methods of a run's coordinator, with their serialisers. */
export interface ProtoMethods {
  readonly Work: MethodDefinition<object, object>;
  readonly FetchDataset: MethodDefinition<object, object>;
}

export const SWEEP_METHODS = ['Describe', 'Claim', 'Extend', 'Commit', 'Fail', 'Release', 'Control'] as const;
export type SweepMethod = (typeof SWEEP_METHODS)[number];

const loaded = new Map<string, object>();

/** The methods of a run's coordinator; see {@link load}. */
export function loadProto(): ProtoMethods {
  return load(PROTO_PATH, 'deepdefense.v1.Coordinator') as ProtoMethods;
}

/** The methods of a sweep's coordinator; see {@link load}. */
export function loadSweepProto(): Readonly<Record<SweepMethod, MethodDefinition<object, object>>> {
  return load(SWEEP_PROTO_PATH, 'deepdefense.v1.Sweep') as Readonly<Record<SweepMethod, MethodDefinition<object, object>>>;
}

/**
 * A service's methods as proto-loader reads them, loaded once. Messages have camelCase keys, uint64 as number, bytes as Buffer,
 * every absent scalar as its default, and a oneof as `body` (the name of the field that is set) beside that field.
 * @throws DeepDefenseError INTERNAL when the package lacks its proto folder.
 */
function load(path: string, service: string): object {
  const known = loaded.get(service);
  if (known !== undefined) return known;
  let definition: PackageDefinition;
  try {
    definition = loadSync(path, {
      includeDirs: [PROTO_FOLDER],
      keepCase: false,
      longs: Number,
      enums: String,
      defaults: true,
      oneofs: true,
    });
  } catch (cause) {
    throw new DeepDefenseError('INTERNAL', {
      what: `can't read the protocol file "${path}"`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'reinstall the package',
      cause,
    });
  }
  const methods = definition[service] as object;
  loaded.set(service, methods);
  return methods;
}
