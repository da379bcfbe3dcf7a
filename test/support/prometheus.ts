/** @file A real Prometheus on a free loopback port, with exemplars, for tests that scrape and query. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Folder of the binaries; undefined where there are none. */
export const PROMETHEUS: string | undefined = findFolder();

/** Why tests are skipped, for the name of a suite; empty where they run. */
export const PROMETHEUS_SKIPPED = PROMETHEUS === undefined ? ' (skipped: no prometheus; run scripts/get-prometheus.sh)' : '';

export interface QueryResult {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface ExemplarSeries {
  readonly seriesLabels: Readonly<Record<string, string>>;
  readonly exemplars: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: string }[];
}

export interface Prometheus {
  readonly url: string;
  /** An instant query. */
  query(text: string): Promise<readonly QueryResult[]>;
  /** Asks again until the result isn't empty. */
  waitFor(text: string): Promise<readonly QueryResult[]>;
  /** Exemplars of the last minutes. */
  exemplars(text: string): Promise<readonly ExemplarSeries[]>;
  close(): Promise<void>;
}

const WAIT_MS = 60_000;

/** @param targets host:port by job; each is scraped every second */
export async function startPrometheus(targets: Readonly<Record<string, string>>): Promise<Prometheus> {
  if (PROMETHEUS === undefined) throw new Error('no prometheus; run scripts/get-prometheus.sh');
  const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
  const port = await freePort();
  const jobs = Object.entries(targets).map(([job, target]) => `  - { job_name: "${job}", static_configs: [{ targets: ["${target}"] }] }`);
  await writeFile(join(folder, 'prometheus.yml'), `global: { scrape_interval: 1s }\nscrape_configs:\n${jobs.join('\n')}\n`);
  const child = spawn(
    join(PROMETHEUS, 'prometheus'),
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=exemplar-storage',
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const url = `http://127.0.0.1:${port}`;
  const get = async <T>(path: string, parameters: Readonly<Record<string, string>>): Promise<T> => {
    const response = await fetch(`${url}${path}?${new URLSearchParams(parameters).toString()}`);
    const body = (await response.json()) as { readonly status: string; readonly data: T; readonly error?: string };
    if (body.status !== 'success') throw new Error(`${parameters.query}: ${body.error}`);
    return body.data;
  };
  const query = async (text: string) => (await get<{ readonly result: readonly QueryResult[] }>('/api/v1/query', { query: text })).result;
  await until(() => fetch(`${url}/-/ready`).then(({ ok }) => ok), child);
  return {
    url,
    query,
    waitFor: async (text) => {
      let result: readonly QueryResult[] = [];
      await until(async () => (result = await query(text)).length > 0, child);
      return result;
    },
    exemplars: (text) => {
      const seconds = Date.now() / 1000;
      return get('/api/v1/query_exemplars', { query: text, start: String(seconds - 600), end: String(seconds + 60) });
    },
    close: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What promtool says about a page of /metrics; empty when it has nothing to complain of. */
export function checkMetrics(text: string): string {
  if (PROMETHEUS === undefined) throw new Error('no promtool; run scripts/get-prometheus.sh');
  try {
    return execFileSync(join(PROMETHEUS, 'promtool'), ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    return `${stdout}${stderr}`;
  }
}

async function until(check: () => Promise<boolean>, child: ChildProcess): Promise<void> {
  const untilMs = performance.now() + WAIT_MS;
  while (!(await check().catch(() => false))) {
    if (child.exitCode !== null) throw new Error(`prometheus ended with code ${child.exitCode}`);
    if (performance.now() > untilMs) throw new Error('prometheus has no answer');
    await sleep(200);
  }
}

function findFolder(): string | undefined {
  const { DEEPDEFENSE_PROMETHEUS, XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const folder = DEEPDEFENSE_PROMETHEUS ?? join(XDG_CACHE_HOME, 'deepdefense/prometheus/usr/bin');
  try {
    for (const binary of ['prometheus', 'promtool']) execFileSync(join(folder, binary), ['--version'], { stdio: 'ignore' });
    return folder;
  } catch {
    return undefined;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
