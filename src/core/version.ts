/** @file The version of this build and of the wire protocol. */
import { createRequire } from 'node:module';

const packageJson = createRequire(import.meta.url)('../../package.json') as { version: string };

/** Version of the package, as in package.json. */
export const PACKAGE_VERSION: string = packageJson.version;

/** Major version of proto/; coordinator and worker must agree. */
export const PROTOCOL_VERSION = 3;
