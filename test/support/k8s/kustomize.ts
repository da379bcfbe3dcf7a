/** @file Builds Kustomize overlays, where there is a kustomize; scripts/get-kustomize.sh gets one where Go is. */
import { execFile, execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Manifest, parseManifests } from './manifest.ts';

/** Program and first arguments; undefined where there is none that knows components. */
const KUSTOMIZE = findKustomize();

/** Why tests are skipped, for the name of a suite; empty where they run. */
export const KUSTOMIZE_SKIPPED = KUSTOMIZE === undefined ? ' (skipped: no kustomize; run scripts/get-kustomize.sh)' : '';

function findKustomize(): readonly string[] | undefined {
  const { DEEPDEFENSE_KUSTOMIZE, XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const built = join(XDG_CACHE_HOME, 'deepdefense/go/bin/kustomize');
  const candidates = DEEPDEFENSE_KUSTOMIZE === undefined ? [['kustomize'], [built], ['kubectl', 'kustomize']] : [[DEEPDEFENSE_KUSTOMIZE]];
  return candidates.find(([program = '', subCommand]) => {
    try {
      const version = execFileSync(program, subCommand === undefined ? ['version'] : ['version', '--client'], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
      return Number(/v(\d+)\.\d+\.\d+\s*$/.exec(version)?.[1] ?? 0) >= 5;
    } catch {
      return false;
    }
  });
}

/** The documents of an overlay. @throws Error with what kustomize says */
export async function buildOverlay(folder: string): Promise<Manifest[]> {
  if (KUSTOMIZE === undefined) throw new Error('no kustomize; run scripts/get-kustomize.sh');
  const [program = '', ...first] = KUSTOMIZE;
  const args = first.length === 0 ? ['build', folder] : [...first, folder];
  const { stdout } = await promisify(execFile)(program, args, { encoding: 'utf8', maxBuffer: 64e6 });
  return parseManifests(stdout);
}
