/**
 * @file Records a run and asks every panel of every dashboard for data. Starts a training run over mutual TLS whose worker is killed, a sweep in a folder,
 * a sweep on NATS with a standby, and a Prometheus that scrapes them all every two seconds; then runs each query as Grafana would.
 *
 * Usage: npm run build && node --import tsx scripts/observability/check-panels.ts [--seconds 300] [--write]
 *        --write puts the table into docs/observability-check.md
 * Needs: scripts/get-prometheus.sh and scripts/get-nats-server.sh.
 * Exits with 1 when a query without a known reason has no data.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from '../../test/integration/support/processes.ts';
import { startNatsServer } from '../../test/support/nats-server.ts';
import { TestAuthority } from '../../test/support/certificates.ts';
import { PROMETHEUS } from '../../test/support/prometheus.ts';
import { DASHBOARDS } from './dashboards/index.ts';
import { startNatsExporter } from './nats-exporter.ts';
import { type PanelQuery, panelQueries } from './panel-queries.ts';
import { PROMETHEUS_FOLDER } from './rules.ts';

/** Why a query that reads such a metric may be empty. */
const EMPTY: readonly (readonly [metric: RegExp, reason: string])[] = [
  [/^DCGM_|^deepdefense_worker_device_info$/, 'no GPU and no dcgm-exporter here; without pods there is nothing to join'],
  [/deepdefense_refusals_total/, 'nothing was refused'],
  [/deepdefense_worker_task_failures_total/, 'no task failed'],
  [/deepdefense_quarantines_total/, 'nobody was quarantined'],
  [/deepdefense_grpc_server_calls_total.*UNAUTHENTICATED/, 'no call was refused'],
  [/deepdefense_evaluation_(units|images)/, '`deepdefense evaluate` is not part of this run'],
];

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const CONFIG = fileURLToPath(new URL('../../examples/synthetic-smoke.yaml', import.meta.url));
const SWEEP = `function: branin
functionSeconds: 0.5
space:
  x1: {type: float, low: 0, high: 1}
  x2: {type: float, low: 0, high: 1}
objectives: [{name: value}]
rungs: [{epochs: 1}, {epochs: 3}]
sampler: {name: tpe, startup: 5}
scheduler: {name: asha}
budget: {candidates: 400}
lanes: 4
leaseMs: 3000
`;

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '300' }, write: { type: 'boolean', default: false } } });
/** At most so long; it ends when everything has happened. */
const seconds = Number(values.seconds);
const lastWaitMs = performance.now() + seconds * 1000;
const folder = await mkdtemp(join(tmpdir(), 'panels-'));
const children: ChildProcess[] = [];
const authority = await TestAuthority.create();
const nats = await startNats();
const exporterPort = await freePort();
const exporter = startNatsExporter(nats.monitor, exporterPort);
try {
  const url = await startEverything();
  await sayTargets(url);
  const results = await ask(url);
  const text = report(results, await versions(url));
  console.log(text);
  if (values.write) await writeFile(fileURLToPath(new URL('../../docs/observability-check.md', import.meta.url)), text);
  if (results.some(({ points, reason }) => points === 0 && reason === undefined)) process.exitCode = 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  exporter.close();
  await nats.server.close();
  await authority.close();
  await sleep(500);
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

async function startNats() {
  const port = await freePort();
  return { server: await startNatsServer({ config: `http: "127.0.0.1:${port}"` }), monitor: `http://127.0.0.1:${port}` };
}

/** @returns address of Prometheus, when everything has run for so long */
async function startEverything(): Promise<string> {
  if (PROMETHEUS === undefined) throw new Error('no prometheus; run scripts/get-prometheus.sh');
  const coordinators: number[] = [];
  const workers: number[] = [];
  const port = async (list: number[]): Promise<string> => {
    const chosen = await freePort();
    list.push(chosen);
    return String(chosen);
  };
  const runPort = await freePort();
  const sizes = [
    'train.epochs=1000',
    'data.trainSamples=640',
    'data.testSamples=100',
    'evaluation.robustSamples=20',
    'checkpoint.everySeconds=5',
  ];
  const settings = [...sizes, `cluster.port=${runPort}`, `cluster.httpPort=${await port(coordinators)}`].flatMap((set) => ['--set', set]);
  start('coordinator', '-c', CONFIG, ...settings, '--certs', await authority.issue('coordinator', 'main'));
  const certs = ['--certs', await authority.issue('worker', 'pool')];
  const runWorker = async () => start('worker', '--coordinator', `127.0.0.1:${runPort}`, ...certs, '--http-port', await port(workers));
  const victim = await runWorker();
  await runWorker();

  const sweepPorts = [await port(coordinators), await port(coordinators), await port(coordinators)] as const;
  const sweepWorkerPorts = [await port(workers), await port(workers)] as const;
  const substitute = await freePort();
  const listed = (ports: readonly number[]): string => JSON.stringify(ports.map((number) => `127.0.0.1:${number}`));
  const prometheusPort = await freePort();
  const jobs = [
    ['deepdefense-coordinator', listed(coordinators)],
    ['deepdefense-worker', listed([...workers, substitute])],
    ['nats', listed([exporterPort])],
  ];
  const scrapes = jobs.map(([name, targets]) => `  - {job_name: ${name}, static_configs: [{targets: ${targets}}]}`).join('\n');
  const rules = join(PROMETHEUS_FOLDER, 'rules/*.yml');
  await writeFile(
    join(folder, 'prometheus.yml'),
    `global: {scrape_interval: 2s, evaluation_interval: 2s}\nrule_files: ["${rules}"]\nscrape_configs:\n${scrapes}\n`,
  );
  const flags = [`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`];
  children.push(
    spawn(
      join(PROMETHEUS, 'prometheus'),
      [...flags, `--web.listen-address=127.0.0.1:${prometheusPort}`, '--enable-feature=exemplar-storage', '--log.level=error'],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    ),
  );
  const url = `http://127.0.0.1:${prometheusPort}`;
  while (
    !(await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await sleep(200);
  await until(url, 'deepdefense_step > 3 and on () (count(deepdefense_worker_ready == 1) == 2)');
  victim.kill('SIGKILL');
  start('worker', '--coordinator', `127.0.0.1:${runPort}`, ...certs, '--http-port', String(substitute));
  await writeFile(join(folder, 'sweep.yaml'), `name: in-a-folder\n${SWEEP}`);
  await writeFile(join(folder, 'sweep-nats.yaml'), `name: on-nats\n${SWEEP}`);
  const sweepPort = String(await freePort());
  start('sweep', '-c', 'sweep.yaml', '--id', 'in-a-folder', '--workers', '0', '--port', sweepPort, '--http-port', sweepPorts[0]);
  start('worker', '--sweep', `127.0.0.1:${sweepPort}`, '--http-port', sweepWorkerPorts[0]);
  const onNats = ['sweep', '-c', 'sweep-nats.yaml', '--nats', nats.server.url, '--id', 'on-nats', '--workers', '0'];
  start(...onNats, '--out', 'first', '--http-port', sweepPorts[1]);
  await sleep(4000);
  start(...onNats, '--out', 'second', '--standby', '--http-port', sweepPorts[2]);
  start('worker', '--nats', nats.server.url, '--sweep', 'on-nats', '--http-port', sweepWorkerPorts[1]);
  await until(
    url,
    'deepdefense_worker_leaves_total and on () (count(deepdefense_worker_ready == 1) == 2) and on () deepdefense_accuracy_ratio',
  );
  await sleep(20_000);
  return url;
}

/** Waits until the query has a result; goes on without one when the time is over, so that the report says what is missing. */
async function until(url: string, query: string): Promise<void> {
  while (performance.now() < lastWaitMs) {
    const { data } = (await (await fetch(`${url}/api/v1/query?${new URLSearchParams({ query })}`)).json()) as {
      readonly data: { readonly result: readonly unknown[] };
    };
    if (data.result.length > 0) return;
    await sleep(1000);
  }
  console.error(`time is over, and this never came: ${query}`);
}

function start(...args: readonly string[]): ChildProcess {
  const env = { ...process.env, DEEPDEFENSE_CACHE: join(folder, 'cache'), DEEPDEFENSE_DATA: '' };
  const child = spawn(process.execPath, [MAIN, '--log-level', 'error', ...args], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  child.once('exit', (code) => {
    if (code !== null && code !== 0) console.error(`"deepdefense ${args.slice(0, 3).join(' ')}" ended with code ${code}`);
  });
  children.push(child);
  return child;
}

/** A target that doesn't answer explains many empty panels; the worker that was killed is one. */
async function sayTargets(url: string): Promise<void> {
  const { data } = (await (await fetch(`${url}/api/v1/targets`)).json()) as {
    readonly data: {
      readonly activeTargets: readonly { readonly scrapePool: string; readonly scrapeUrl: string; readonly lastError: string }[];
    };
  };
  for (const { scrapePool, scrapeUrl, lastError } of data.activeTargets)
    if (lastError !== '') console.error(`${scrapePool} ${scrapeUrl}: ${lastError}`);
}

interface Answer extends PanelQuery {
  readonly series: number;
  /** Points that are numbers. */
  readonly points: number;
  /** Why it may be empty. */
  readonly reason: string | undefined;
}

async function ask(url: string): Promise<Answer[]> {
  const end = Date.now() / 1000;
  const answers: Answer[] = [];
  for (const query of DASHBOARDS.flatMap(panelQueries)) {
    const expr = query.expr
      .replaceAll('$__rate_interval', '10s')
      .replaceAll('$__range', `${seconds}s`)
      .replaceAll(/\$(\w+)/g, '.*');
    const parameters = new URLSearchParams({
      query: expr,
      start: String(end - Math.ceil(performance.now() / 1000)),
      end: String(end),
      step: '1',
    });
    const body = (await (await fetch(`${url}/api/v1/query_range?${parameters}`)).json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data?: { readonly result: readonly { readonly values: readonly (readonly [number, string])[] }[] };
    };
    if (body.status !== 'success') throw new Error(`${query.dashboard} / ${query.panel}: ${body.error}`);
    const series = (body.data?.result ?? [])
      .map((one) => one.values.filter(([, value]) => value !== 'NaN').length)
      .filter((count) => count > 0);
    const points = series.reduce((sum, count) => sum + count, 0);
    const reason =
      points > 0
        ? undefined
        : EMPTY.find(([metric]) => metric.test(query.expr) || query.expr.match(/\w+/g)?.some((word) => metric.test(word)))?.[1];
    answers.push({ ...query, series: series.length, points, reason });
  }
  return answers;
}

/** Of what took part. */
async function versions(url: string): Promise<string> {
  const read = async (address: string) => (await (await fetch(address)).json()) as unknown;
  const { data } = (await read(`${url}/api/v1/status/buildinfo`)) as { readonly data: { readonly version: string } };
  const { version } = (await read(`${nats.monitor}/varz`)) as { readonly version: string };
  return `Prometheus ${data.version}, nats-server ${version}`;
}

function report(answers: readonly Answer[], programs: string): string {
  const filled = answers.filter(({ points }) => points > 0).length;
  const excused = answers.filter(({ points, reason }) => points === 0 && reason !== undefined).length;
  const rows = answers.map(({ dashboard, panel, legend, series, points, reason }) => {
    const result = points > 0 ? `${series} series, ${points} points` : `none: ${reason ?? '**should have data**'}`;
    return `| ${dashboard.replace('deepdefense / ', '')} | ${panel} | ${legend} | ${result} |`;
  });
  return [
    '# Check of the dashboards',
    '<!-- Written by scripts/observability/check-panels.ts --write -->',
    '',
    'Every query of every panel, asked of a real Prometheus that scraped, every two seconds, a training run over mutual TLS with two workers of which one',
    'was killed and replaced, a sweep in a folder, and a sweep on NATS with a standby. The queries ran through the HTTP API with their variables filled in; Grafana',
    'itself was not at hand, so nobody has seen these panels drawn. Metrics of NATS servers come from a stand-in that reads a real nats-server and',
    'gives the names of prometheus-nats-exporter.',
    '',
    `\`node --import tsx scripts/observability/check-panels.ts --seconds ${seconds} --write\`, ${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown'}, shared, ${programs}: of ${answers.length} queries ${filled} had data, ${excused} had none for a known reason, ${answers.length - filled - excused} had none without one.`,
    '',
    '| dashboard | panel | legend | data |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
