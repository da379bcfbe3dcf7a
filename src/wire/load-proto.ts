/** @file Reads the protocol files of the package; the same code works from `src/` and from `dist/`. */
import { fileURLToPath } from 'node:url';
import { loadSync, type MethodDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { DeepDefenseError } from '../core/index.ts';

/** Folder that import paths of .proto files are relative to. Both src/wire and dist/wire lie two levels below the package root. */
const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

/** Absolute path of the protocol file. */
export const PROTO_PATH: string = fileURLToPath(new URL('../../proto/deepdefense/v1/coordinator.proto', import.meta.url));

const SERVICE = 'deepdefense.v1.Coordinator';

/** The two methods of the service, with their serialisers. */
export interface ProtoMethods {
  readonly Work: MethodDefinition<object, object>;
  readonly FetchDataset: MethodDefinition<object, object>;
}

let loaded: ProtoMethods | undefined;

/**
 * The service's methods as proto-loader reads them, loaded once. Messages have camelCase keys, uint64 as number, bytes as Buffer,
 * every absent scalar as its default, and a oneof as `body` (the name of the field that is set) beside that field.
 * @throws DeepDefenseError INTERNAL when the package lacks its proto folder.
 */
export function loadProto(): ProtoMethods {
  if (loaded !== undefined) return loaded;
  let definition: PackageDefinition;
  try {
    definition = loadSync(PROTO_PATH, {
      includeDirs: [PROTO_FOLDER],
      keepCase: false,
      longs: Number,
      enums: String,
      defaults: true,
      oneofs: true,
    });
  } catch (cause) {
    throw new DeepDefenseError('INTERNAL', {
      what: `can't read the protocol file "${PROTO_PATH}"`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'reinstall the package',
      cause,
    });
  }
  loaded = definition[SERVICE] as unknown as ProtoMethods;
  return loaded;
}
