/** @file The built command line, which some benchmarks run as users do. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DeepDefenseError } from '../src/core/index.ts';

/** Its main file. */
export const CLI = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** @throws DeepDefenseError USAGE when there is no build. */
export function requireBuild(): void {
  if (existsSync(CLI)) return;
  throw new DeepDefenseError('USAGE', { what: `no built command line at "${CLI}"`, todo: 'run `npm run build` first' });
}
