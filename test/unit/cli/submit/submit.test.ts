import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { IIoK8sApiBatchV1JobSpec as JobSpec } from 'kubernetes-models/batch/v1/JobSpec';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadSweep } from '../../../../src/config/index.ts';
import { runCli } from '../../../../src/cli/run-cli.ts';
import type { KubernetesObject } from '../../../../src/cli/submit/kubernetes-object.ts';
import { at, type Manifest, parseManifests, podTemplates, type PodTemplate } from '../../../support/k8s/manifest.ts';
import { policyProblems } from '../../../support/k8s/policy.ts';
import { schemaProblems } from '../../../support/k8s/schema.ts';
import { unknownFields } from '../../../support/k8s/unknown-fields.ts';

const SWEEP = 'examples/sweep-gfa-weights.yaml';
const RUN = 'examples/cluster.yaml';

/** Writes down how it was called; answers `get` with what stands in a file of that kind, or in another one once something was applied, and `apply` with a code. */
const KUBECTL = `#!/bin/sh
echo "$*" >> "$FAKE/calls"
while [ $# -gt 0 ]; do
  case "$1" in
    --namespace|--context) shift 2 ;;
    get)
      if [ -e "$FAKE/applied" ] && [ -e "$FAKE/then-get-$2" ]; then cat "$FAKE/then-get-$2"
      elif [ -e "$FAKE/get-$2" ]; then cat "$FAKE/get-$2"
      else case "$*" in *--selector*) echo '{"items": []}' ;; esac; fi
      exit 0 ;;
    apply)
      if [ -e "$FAKE/refusal" ]; then cat "$FAKE/refusal" >&2; exit 1; fi
      case "$*" in *--dry-run=server*) cat > "$FAKE/asked"; exit 0 ;; esac
      echo "---" >> "$FAKE/applied"; cat >> "$FAKE/applied"; exit 0 ;;
    delete) [ -e "$FAKE/no-$2" ] || echo "$2/one"; exit 0 ;;
    port-forward)
      if [ -e "$FAKE/forward.mjs" ]; then exec "$NODE" "$FAKE/forward.mjs"; fi
      echo "error: error dialing backend" >&2; exit 1 ;;
    *) exit 64 ;;
  esac
done
`;

let folder: string;
const before = process.env.PATH;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'submit-'));
  await mkdir(join(folder, 'bin'));
  await writeFile(join(folder, 'bin/kubectl'), KUBECTL);
  await chmod(join(folder, 'bin/kubectl'), 0o755);
  process.env.PATH = `${join(folder, 'bin')}${delimiter}${before}`;
});
afterAll(async () => {
  process.env.PATH = before;
  await rm(folder, { recursive: true });
});
let cluster: string;
beforeEach(async () => {
  cluster = await mkdtemp(join(folder, 'cluster-'));
  process.env.FAKE = cluster;
  process.env.NODE = process.execPath;
});

interface Answer {
  readonly code: number;
  readonly document: Record<string, unknown> & {
    readonly id: string;
    readonly state: string;
    readonly configSha256: string;
    readonly manifests: readonly KubernetesObject[];
    readonly error: { readonly code: string; readonly what: string; readonly got: string; readonly todo: string };
  };
}

async function submit(...args: readonly string[]): Promise<Answer> {
  let stdout = '';
  const code = await runCli(['--json', ...args], { stdout: (text) => void (stdout += text), stderr: () => {} });
  return { code, document: JSON.parse(stdout) as Answer['document'] };
}

async function render(...args: readonly string[]): Promise<Answer['document']> {
  return (await submit('submit', '--dry-run', ...args)).document;
}

function one(objects: readonly KubernetesObject[], kind: string): Manifest {
  const found = objects.filter((object) => object.kind === kind);
  expect(found).toHaveLength(1);
  return found[0] as KubernetesObject as Manifest;
}

/** The container of the only object of this kind. */
function containerOf(objects: readonly KubernetesObject[], kind: string): PodTemplate['containers'][number] {
  const [container] = podTemplates([one(objects, kind)])[0]?.containers ?? [];
  if (container === undefined) throw new Error(`${kind} has no container`);
  return container;
}

function configOf(objects: readonly KubernetesObject[]): string {
  return at(one(objects, 'ConfigMap'), ['data', 'config.yaml']) as string;
}

const said = (name: string) => readFile(join(cluster, name), 'utf8').catch(() => '');

describe('objects', () => {
  it('manifests: fit the schemas of Kubernetes and have no field that it does not know', { timeout: 120_000 }, async () => {
    const variants = [
      [SWEEP],
      [SWEEP, '--workers', '4', '--gpus', '2', '--queue', 'deepdefense', '--priority', 'high'],
      [RUN],
      [RUN, '--workers', '1', '--set', 'cluster.minWorkers=1'],
    ];
    const objects: KubernetesObject[] = [];
    for (const args of variants) objects.push(...(await render('-c', ...args)).manifests);
    const problems = await Promise.all(objects.map((object) => schemaProblems(object)));
    expect(problems.flat()).toEqual([]);
    expect(unknownFields(objects)).toEqual([]);
  });

  it('manifests: keep the policies of the platform', async () => {
    const problems = await policyProblems((await render('-c', RUN, '--workers', '3', '--gpus', '1')).manifests as unknown as Manifest[]);
    // What lies in the platform is not here. The budget of a Job's pods is a number, which the server counts without asking the Job.
    const others = problems.filter((problem) => !/^(references exist|the network is closed): |^drains end: .*-workers: /.test(problem));
    expect(others).toEqual([]);
  });

  it('sweep: has two coordinators, of which one stands by, and no workers of its own', async () => {
    const { id, configSha256, manifests } = await render('-c', SWEEP);
    expect(manifests.map(({ kind }) => kind)).toEqual(['ConfigMap', 'Service', 'PodDisruptionBudget', 'StatefulSet']);
    expect(id).toBe(`gfa-weights-${configSha256.slice(0, 8)}`);
    expect(at(one(manifests, 'StatefulSet'), ['spec', 'replicas'])).toBe(2);
    const container = containerOf(manifests, 'StatefulSet');
    expect(container.args?.join(' ')).toBe(
      `--json sweep -c /config/config.yaml --id ${id} --stay --standby --workers 0 --out /runs/${id} --host 0.0.0.0 --port 50051 --http-port 9464`,
    );
    expect(container.env).toContainEqual({ name: 'DEEPDEFENSE_NATS', value: 'tls://nats.deepdefense.svc:4222' });
  });

  it('sweep: the file in the cluster defines the same trials, without a base file', async () => {
    const base = join(cluster, 'base.yaml');
    await writeFile(base, 'model: {name: cnn3}\ntrain: {epochs: 2}\ndata: {source: synthetic, path: /home/me/data}\n');
    const file = join(cluster, 'sweep.yaml');
    await writeFile(
      file,
      'base: base.yaml\nconfig: {train: {batchSize: 64}}\nspace: {optimizer.learningRate: {type: log-float, low: 0.001, high: 0.1}}\nobjectives: [{name: clean-accuracy}]\n',
    );
    const { manifests } = await render('-c', file);
    const there = join(cluster, 'there.yaml');
    await writeFile(there, configOf(manifests));
    await rm(base);
    const { base: config, sweep } = await loadSweep({ file: there });
    expect(config).toEqual({ model: { name: 'cnn3' }, train: { epochs: 2, batchSize: 64 }, data: { source: 'synthetic' } });
    expect(sweep.base).toBeUndefined();
    // Nothing is mounted that it has no use for.
    expect(JSON.stringify(one(manifests, 'StatefulSet'))).not.toContain('deepdefense-data');
  });

  it('run: has one coordinator that goes on by its id, and an Indexed Job of as many workers as it waits for', async () => {
    const { id, manifests } = await render('-c', RUN, '--id', 'first');
    expect(id).toBe('first');
    expect(at(one(manifests, 'StatefulSet'), ['spec', 'replicas'])).toBe(1);
    expect(containerOf(manifests, 'StatefulSet').args).toEqual([
      '--json',
      'coordinator',
      '-c',
      '/config/config.yaml',
      '--id',
      'first',
      '--stay',
    ]);
    const spec = one(manifests, 'Job').spec as JobSpec;
    expect([spec.completions, spec.parallelism, spec.completionMode]).toEqual([2, 2, 'Indexed']);
    expect(containerOf(manifests, 'Job').args).toEqual(
      expect.arrayContaining(['--coordinator', 'first-0.first:50051', '--stop-code', '143']),
    );
    // A drained worker ends with 143 and gets a new pod that nobody counts; a wrong config ends the job.
    expect(spec.podFailurePolicy?.rules.map((rule) => [rule.action, rule.onExitCodes?.values])).toEqual([
      ['Ignore', undefined],
      ['Ignore', [143]],
      ['FailJob', [2, 3, 4, 8]],
      ['FailIndex', [6]],
    ]);
    expect(configOf(manifests)).toContain('runsFolder: /runs');
  });

  it('GPUs: are asked for whole, with an engine that can not fall back to the CPU', async () => {
    const { manifests } = await render('-c', SWEEP, '--workers', '3', '--gpus', '1', '--queue', 'research');
    const job = one(manifests, 'Job');
    const container = containerOf(manifests, 'Job');
    expect(container.image).toMatch(/^deepdefense\/worker-cuda:/);
    expect(container.resources?.limits?.['nvidia.com/gpu']).toBe(1);
    expect(container.args).toEqual(expect.arrayContaining(['--engine', 'onnx:cuda', '--trials-folder', '/trials']));
    expect([job.metadata.labels?.['kueue.x-k8s.io/queue-name'], at(job, ['spec', 'suspend'])]).toEqual(['research', true]);
    const budgets = manifests.filter(({ kind }) => kind === 'PodDisruptionBudget').map(({ spec }) => spec as { minAvailable?: number });
    expect(budgets.map(({ minAvailable }) => minAvailable)).toEqual([undefined, 2]);
  });

  it('plain text: has no certificates, and says so to the coordinator', async () => {
    const text = JSON.stringify((await submit('--insecure', 'submit', '-c', SWEEP, '--workers', '1', '--dry-run')).document.manifests);
    expect(text).toContain('"--insecure"');
    expect(text).toContain('nats://nats.deepdefense.svc:4222');
    expect(text).not.toMatch(/-tls|\/certs/);
  });

  it('k8s/examples: are what submit renders (anew: scripts/kubernetes/render-examples.sh)', async () => {
    const commands = await readFile('scripts/kubernetes/render-examples.sh', 'utf8');
    const lines = [...commands.matchAll(/^render (.*) -o (k8s\/examples\/.*)$/gm)];
    expect(lines).toHaveLength(3);
    for (const [, args = '', file = ''] of lines) {
      const { manifests } = await render(...args.split(' '));
      expect(parseManifests(await readFile(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(manifests)));
    }
  });

  it('-o: writes the same objects as YAML', async () => {
    const output = join(cluster, 'objects.yaml');
    const { manifests } = await render('-c', RUN, '-o', output);
    expect(parseManifests(await readFile(output, 'utf8'))).toEqual(JSON.parse(JSON.stringify(manifests)));
  });
});

describe('refusals before anything is sent', () => {
  it.each([
    ['a config that the coordinator would refuse', ['-c', RUN, '--set', 'train.epoch=3'], 'CONFIG_UNKNOWN_KEY', 3],
    ['a sweep file that the coordinator would refuse', ['-c', SWEEP, '--set', 'sampler.name=best'], 'CONFIG_INVALID', 3],
    ['a file that is not there', ['-c', 'nowhere.yaml'], 'CONFIG_FILE_MISSING', 3],
    ['a name that no Service can have', ['-c', RUN, '--id', 'First_run'], 'USAGE', 2],
    ['a name that leaves no room for suffixes', ['-c', RUN, '--id', 'x'.repeat(41)], 'USAGE', 2],
    ['fewer workers than the run waits for', ['-c', RUN, '--workers', '1'], 'USAGE', 2],
    ['a queue for workers that there are none of', ['-c', SWEEP, '--queue', 'q'], 'USAGE', 2],
    ['no file', [], 'USAGE', 2],
  ])('submit: refuses %s', async (_, args, code, exitCode) => {
    const answer = await submit('submit', ...args);
    expect([answer.document.error.code, answer.code]).toEqual([code, exitCode]);
    expect(await said('calls')).toBe('');
  });
});

describe('kubectl', () => {
  const found = (sha256: string) =>
    JSON.stringify({
      kind: 'ConfigMap',
      metadata: { name: 'first-config', annotations: { 'deepdefense/config-sha256': sha256, 'deepdefense/kind': 'run' } },
    });

  it('submit: looks for the name, asks the server about all, then applies the config alone and the rest, in the namespace and context given', async () => {
    const { document, code } = await submit('submit', '-c', RUN, '--id', 'first', '-n', 'research', '--kube-context', 'lab');
    expect([code, document.state]).toEqual([0, 'submitted']);
    const calls = (await said('calls')).trim().split('\n');
    expect(calls.every((call) => call.startsWith('--namespace research --context lab '))).toBe(true);
    expect(calls.map((call) => call.split(' ')[4])).toEqual(['get', 'get', 'apply', 'apply', 'apply']);
    expect(calls[2]).toContain('--server-side --validate=strict --dry-run=server --field-manager deepdefense-submit');
    expect(calls[3]).toContain('--server-side --validate=strict --field-manager deepdefense-submit');
    expect(await said('asked')).toBe((await said('applied')).replace(/^---\n/, ''));
    expect(parseManifests(await said('applied')).map(({ kind }) => kind)[0]).toBe('ConfigMap');
  });

  const CHANGEABLE = 'get-statefulset,job,poddisruptionbudget';
  /** A run that is there with a number of workers; every change so far has counted its workers' objects up. */
  const there = (workers: number, generation: number) =>
    JSON.stringify({
      items: [
        { kind: 'StatefulSet', metadata: { name: 'first', generation: 1 } },
        { kind: 'PodDisruptionBudget', metadata: { name: 'first', generation: 1 } },
        { kind: 'PodDisruptionBudget', metadata: { name: 'first-workers', generation } },
        { kind: 'Job', metadata: { name: 'first-workers', generation }, spec: { parallelism: workers } },
      ],
    });
  async function isThere(file: string, objects: string): Promise<void> {
    const { configSha256 } = await render('-c', file, '--id', 'first');
    await writeFile(join(cluster, 'get-configmap'), found(configSha256));
    await writeFile(join(cluster, 'get-statefulset'), found(configSha256));
    await writeFile(join(cluster, CHANGEABLE), objects);
  }
  const appliedWorkers = async () => {
    const job = one(parseManifests(await said('applied')) as unknown as KubernetesObject[], 'Job');
    return (job.spec as JobSpec).parallelism;
  };

  it('submit: a second time with the same file changes nothing, nor the number of workers when none is given', async () => {
    await isThere(RUN, there(5, 3));
    const { document, code } = await submit('submit', '-c', RUN, '--id', 'first');
    expect([document.state, document.changes, code]).toEqual(['unchanged', undefined, 0]);
    expect(await appliedWorkers()).toBe(5);
  });

  it('submit: a second time in a queue leaves it to the queue whether its workers wait', async () => {
    const items = [{ kind: 'Job', metadata: { name: 'first-workers', generation: 2 }, spec: { parallelism: 2, suspend: false } }];
    await isThere(RUN, JSON.stringify({ items }));
    await submit('submit', '-c', RUN, '--id', 'first', '--queue', 'research');
    const job = one(parseManifests(await said('applied')) as unknown as KubernetesObject[], 'Job');
    expect(at(job, ['spec', 'suspend'])).toBe(false);
  });

  it('submit: the same file with another number of workers says what it changed', async () => {
    await isThere(RUN, there(2, 1));
    await writeFile(join(cluster, `then-${CHANGEABLE}`), there(4, 2));
    const { document, code } = await submit('submit', '-c', RUN, '--id', 'first', '--workers', '4');
    expect([document.state, code]).toEqual(['changed', 0]);
    expect(document.changes).toEqual([
      { kind: 'PodDisruptionBudget', name: 'first-workers', change: 'changed' },
      { kind: 'Job', name: 'first-workers', change: 'changed', workers: { before: 2, now: 4 } },
    ]);
    expect(await appliedWorkers()).toBe(4);
  });

  it('submit: a sweep that had workers of its own and shall have none loses their objects, after all was applied', async () => {
    await isThere(SWEEP, there(4, 1));
    const { document } = await submit('submit', '-c', SWEEP, '--id', 'first', '--workers', '0');
    expect(document.changes).toEqual([
      { kind: 'PodDisruptionBudget', name: 'first-workers', change: 'removed' },
      { kind: 'Job', name: 'first-workers', change: 'removed' },
    ]);
    const commands = (await said('calls'))
      .trim()
      .split('\n')
      .map((call) => call.split(' ').slice(2, 5).join(' '));
    expect(commands.slice(-3)).toEqual([
      'delete PodDisruptionBudget first-workers',
      'delete Job first-workers',
      'get statefulset,job,poddisruptionbudget --selector',
    ]);
  });

  it('submit: objects that were not there are named as made', async () => {
    await isThere(SWEEP, JSON.stringify({ items: [{ kind: 'StatefulSet', metadata: { name: 'first', generation: 1 } }] }));
    await writeFile(join(cluster, `then-${CHANGEABLE}`), there(1, 1));
    const { document } = await submit('submit', '-c', SWEEP, '--id', 'first', '--workers', '1');
    expect(document.changes).toEqual([
      { kind: 'PodDisruptionBudget', name: 'first', change: 'made' },
      { kind: 'Job', name: 'first-workers', change: 'made' },
    ]);
  });

  it('submit: under the name of another file nothing is sent', async () => {
    await isThere(RUN, there(2, 1));
    const other = await submit('submit', '-c', RUN, '--id', 'first', '--set', 'train.epochs=3');
    expect([other.document.error.code, other.code]).toEqual(['NAME_TAKEN', 5]);
    expect(await said('applied')).toBe('');
  });

  it('submit: an object of that name that was not submitted is left alone', async () => {
    await writeFile(join(cluster, 'get-statefulset'), JSON.stringify({ kind: 'StatefulSet', metadata: { name: 'nats' } }));
    const { document } = await submit('submit', '-c', RUN, '--id', 'nats');
    expect(document.error).toMatchObject({ code: 'NAME_TAKEN', got: 'an object that was not submitted' });
  });

  it('submit: says what the server said when it refuses', async () => {
    await writeFile(join(cluster, 'refusal'), 'error: namespaces "deepdefense" not found\n');
    const { document, code } = await submit('submit', '-c', RUN);
    expect([document.error.code, code]).toEqual(['CLUSTER_FAILED', 7]);
    expect(document.error.got).toContain('namespaces "deepdefense" not found');
  });

  it('submit: cuts what the server quotes of an object that it may not change, and sends nothing', async () => {
    const quoted = `The Job "first-workers" is invalid: spec.template: Invalid value: {${'"Name":null,'.repeat(1000)}}: field is immutable`;
    await writeFile(join(cluster, 'refusal'), quoted);
    const { document } = await submit('submit', '-c', RUN, '--id', 'first');
    expect(document.error.got.length).toBeLessThan(700);
    expect(document.error.got).toMatch(/^The Job "first-workers" is invalid.* \.\.\. .*field is immutable$/s);
    expect(document.error.todo).toContain('give another --id');
    expect(await said('applied')).toBe('');
  });

  it('submit: says that there is no kubectl', async () => {
    const path = process.env.PATH;
    process.env.PATH = cluster;
    try {
      const { document, code } = await submit('submit', '-c', RUN);
      expect([document.error.what, code]).toEqual(['there is no kubectl on PATH', 7]);
    } finally {
      process.env.PATH = path;
    }
  });

  it('delete: removes the config, which holds the name, last, and volumes only when asked to', async () => {
    await writeFile(join(cluster, 'get-configmap'), found('x'));
    const kept = await submit('submit', 'delete', 'first');
    expect(kept.document.removed).toEqual(['job/one', 'statefulset/one', 'poddisruptionbudget/one', 'service/one', 'configmap/one']);
    const gone = await submit('submit', 'delete', 'first', '--volumes');
    expect(gone.document.removed).toContain('persistentvolumeclaim/one');
  });

  it('delete: --volumes removes the volumes that an earlier delete has left, and nothing else', async () => {
    const { document, code } = await submit('submit', 'delete', 'first', '--volumes');
    expect([code, document]).toMatchObject([0, { id: 'first', removed: ['persistentvolumeclaim/one'] }]);
    expect(await said('calls')).toContain(
      'delete persistentvolumeclaim --selector app.kubernetes.io/name=deepdefense,app.kubernetes.io/instance=first',
    );

    await writeFile(join(cluster, 'no-persistentvolumeclaim'), '');
    const nothing = await submit('submit', 'delete', 'first', '--volumes');
    expect([nothing.document.error.code, nothing.code]).toEqual(['CHECKPOINT_MISSING', 5]);
  });

  async function coordinatorRuns(): Promise<void> {
    await writeFile(join(cluster, 'get-configmap'), found('x'));
    const running = { phase: 'Running', containerStatuses: [{ ready: true, restartCount: 0, state: { running: {} } }] };
    const labels = { 'app.kubernetes.io/component': 'coordinator' };
    await writeFile(join(cluster, 'get-pod'), JSON.stringify({ items: [{ metadata: { name: 'first-0', labels }, status: running }] }));
  }

  it('status: waits for no answer when the port-forward ends behind a connection that closed early', async () => {
    await coordinatorRuns();
    await writeFile(
      join(cluster, 'forward.mjs'),
      `import { createServer } from 'node:net';
      const server = createServer((socket) => {
        socket.destroy();
        setTimeout(() => { console.error('error: lost connection to pod'); process.exit(1); }, 30);
      });
      server.listen(0, '127.0.0.1', () => console.log(\`Forwarding from 127.0.0.1:\${server.address().port} -> 9464\`));`,
    );
    const startedMs = performance.now();
    const { document } = await submit('submit', 'status', 'first');
    expect(document.pods).toMatchObject([{ silence: expect.stringContaining('lost connection to pod') as string }]);
    expect(performance.now() - startedMs).toBeLessThan(9_000);
  });

  it('status, results: say why a coordinator that runs gives no answer', async () => {
    await coordinatorRuns();
    const silence = 'kubectl port-forward: error: error dialing backend';
    const { document } = await submit('submit', 'status', 'first');
    expect(document.pods).toMatchObject([{ pod: 'first-0', silence }]);
    const results = await submit('submit', 'results', 'first');
    expect(results.document.error).toMatchObject({ code: 'CHECKPOINT_MISSING', got: `first-0  Running: no answer (${silence})` });
  });

  async function jobIs(metadata: object, spec: object, status: object): Promise<void> {
    await writeFile(join(cluster, 'get-configmap'), found('x'));
    await writeFile(join(cluster, 'get-job'), JSON.stringify({ items: [{ kind: 'Job', metadata, spec, status }] }));
  }
  const FAILED = { type: 'Failed', status: 'True', reason: 'PodFailurePolicy', message: 'Container worker failed with exit code 3' };

  it.each([
    [
      'wait in a queue',
      { labels: { 'kueue.x-k8s.io/queue-name': 'lab' } },
      { suspend: true },
      {},
      { asked: 4, ready: 0, state: 'queued', queue: 'lab' },
    ],
    ['work', {}, { suspend: false }, { ready: 3 }, { asked: 4, ready: 3, state: 'active' }],
    ['have ended', {}, {}, { conditions: [{ type: 'Complete', status: 'True' }] }, { asked: 4, ready: 0, state: 'done' }],
    [
      'have failed',
      {},
      {},
      { conditions: [FAILED] },
      { state: 'failed', reason: 'PodFailurePolicy: Container worker failed with exit code 3' },
    ],
  ])('status: says that the workers of a run %s', async (_, metadata, spec, status, workers) => {
    await jobIs(metadata, { parallelism: 4, ...spec }, status);
    const { document } = await submit('submit', 'status', 'first');
    expect(document.workers).toMatchObject(workers);
  });

  it('submit --follow: ends when the workers of a run have failed, and says why', async () => {
    await jobIs({}, { parallelism: 4 }, { conditions: [FAILED] });
    const { configSha256 } = await render('-c', RUN, '--id', 'first');
    for (const kind of ['configmap', 'statefulset']) await writeFile(join(cluster, `get-${kind}`), found(configSha256));
    const { document, code } = await submit('submit', '-c', RUN, '--id', 'first', '--follow');
    expect([document.error.code, code]).toEqual(['WORKERS_LOST', 7]);
    expect(document.error.got).toContain('exit code 3');
  });

  it('status, results, logs, delete: of a name that was never submitted are refused', async () => {
    for (const action of ['status', 'results', 'logs', 'delete']) {
      const { document, code } = await submit('submit', action, 'never');
      expect([action, document.error.code, code]).toEqual([action, 'CHECKPOINT_MISSING', 5]);
    }
  });
});
