/** @file Renders the Helm chart, where there is a Helm; scripts/get-helm.sh gets one where Go is. */
import { execFile, execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Manifest, parseManifests } from './manifest.ts';

const HELM = findHelm();

/** Why tests are skipped, for the name of a suite; empty where they run. */
export const HELM_SKIPPED = HELM === undefined ? ' (skipped: no helm; run scripts/get-helm.sh)' : '';

function findHelm(): string | undefined {
  const { DEEPDEFENSE_HELM, XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const candidates = DEEPDEFENSE_HELM === undefined ? ['helm', join(XDG_CACHE_HOME, 'deepdefense/go/bin/helm')] : [DEEPDEFENSE_HELM];
  return candidates.find((program) => {
    try {
      return /^v[34]\./.test(execFileSync(program, ['version', '--short'], { encoding: 'utf8', stdio: 'pipe' }));
    } catch {
      return false;
    }
  });
}

/** Runs Helm. @returns what it prints. @throws Error with its message */
export async function helm(...args: readonly string[]): Promise<string> {
  if (HELM === undefined) throw new Error('no helm; run scripts/get-helm.sh');
  return (await promisify(execFile)(HELM, args, { encoding: 'utf8', maxBuffer: 64e6 })).stdout;
}

/** The documents of a chart. `values` are in the form of `--set-json`, for example `nats.replicas=1`. */
export async function renderChart(chart: string, namespace: string, values: readonly string[] = []): Promise<Manifest[]> {
  // A Helm that was built without its release's settings takes Kubernetes for 1.20.
  const settings = ['--namespace', namespace, '--kube-version', '1.33.0'];
  const text = await helm('template', 'deepdefense', chart, ...settings, ...values.flatMap((value) => ['--set-json', value]));
  // null is no value to Kubernetes either.
  const valueOf = (_: string, value: unknown) => (value === null ? undefined : value);
  return parseManifests(text).map((manifest) => JSON.parse(JSON.stringify(manifest), valueOf) as Manifest);
}
