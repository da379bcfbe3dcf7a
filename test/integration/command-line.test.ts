/** @file The command line with real processes, real gRPC and the real engine, on a run of a few seconds. */
import { cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandFolder } from './support/command.ts';

let folder: CommandFolder;
/** Result of an undisturbed run, that the others are compared with. */
let reference: Record<string, unknown>;

const SMALL = [
  '--preset',
  'smoke',
  '--set',
  'data.trainSamples=512',
  '--set',
  'data.testSamples=50',
  '--set',
  'train.batchSize=32',
  '--set',
  'train.epochs=2',
];
const TOTAL_STEPS = 32;

function parsed(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

const isAlive = (processId: number): boolean => {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
};

async function until(condition: () => boolean, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not true within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

beforeAll(async () => {
  folder = await CommandFolder.create();
  const { code, stdout, stderr } = await folder.run('train', ...SMALL, '--workers', '1', '--set', 'evaluation.attacks=[fgsm]', '--json');
  expect(stderr).not.toContain('"level":"error"');
  expect(code).toBe(0);
  reference = parsed(stdout);
}, 120_000);
afterAll(() => folder.close());

describe('train', () => {
  it('train: prints the result and leaves a run folder when it completes', async () => {
    expect(reference).toMatchObject({
      state: 'completed',
      steps: TOTAL_STEPS,
      dataset: 'synthetic',
      robust: [{ attack: 'fgsm' }, { attack: 'fgsm' }],
    });
    expect(reference.runId).toMatch(/^smoke-\d{8}-\d{6}-[0-9a-f]{4}$/);
    expect(reference.weightsSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(reference.engine).toContain('onnx:cpu');
    expect(reference.samplesPerSecond).toBeGreaterThan(0);
    expect(reference.cleanAccuracy).toBeGreaterThanOrEqual(0);
    const files = await readdir(join(folder.path, reference.runFolder as string));
    expect(files).toEqual(
      expect.arrayContaining(['checkpoints', 'config.yaml', 'journal.jsonl', 'logs', 'result.json', 'weights.safetensors']),
    );
    expect(await readFile(join(folder.path, reference.runFolder as string, 'logs', 'worker-1.log'), 'utf8')).toMatch(/\S/);
  });

  it('train: has the same weights when a worker is killed in mid-run, and starts another', async () => {
    const command = folder.start('train', ...SMALL, '--workers', '2', '--log-level', 'info');
    const ready = await command.seen(/worker \S+-\d+-[0-9a-f]+ ready/);
    process.kill(Number(/-(\d+)-[0-9a-f]+ ready/.exec(ready)?.[1]), 'SIGKILL');
    const { code, stdout, stderr } = await command.done;
    expect(code).toBe(0);
    expect(stderr).toMatch(/worker process \d \(pid \d+\) was ended by SIGKILL; starting it again/);
    expect(stdout).toContain(reference.weightsSha256);
  });

  it('train: stops with a checkpoint on Ctrl-C and goes on to the same weights', async () => {
    const first = folder.start('train', ...SMALL, '--workers', '2');
    await first.seen(`step 1/${TOTAL_STEPS}`);
    first.child.kill('SIGINT');
    const stopped = await first.done;
    expect(stopped.code).toBe(130);
    const run = /go on with: deepdefense train --resume (\S+)/.exec(stopped.stdout)?.[1] as string;
    const before = parsed(await readFile(join(folder.path, run, 'result.json'), 'utf8'));
    expect(before).toMatchObject({ state: 'stopped', cleanAccuracy: null });
    expect(before.steps).toBeLessThan(TOTAL_STEPS);
    const second = await folder.run('train', '--resume', run, '--workers', '1', '--json');
    expect(second.code).toBe(0);
    expect(parsed(second.stdout)).toMatchObject({
      state: 'completed',
      steps: TOTAL_STEPS,
      runId: before.runId,
      weightsSha256: reference.weightsSha256,
    });
  });

  it('train: drains on SIGTERM: the step in progress, a checkpoint, code 0', async () => {
    const { child, seen, done } = folder.start('train', ...SMALL, '--workers', '2');
    await seen(`step 1/${TOTAL_STEPS}`);
    child.kill('SIGTERM');
    const { code, stdout } = await done;
    expect(code).toBe(0);
    const run = /go on with: deepdefense train --resume (\S+)/.exec(stdout)?.[1] as string;
    const { steps } = parsed(await readFile(join(folder.path, run, 'result.json'), 'utf8'));
    expect(await readdir(join(folder.path, run, 'checkpoints'))).toContain(`step-${String(steps).padStart(8, '0')}.safetensors`);
  });

  it('workers: end when their parent is killed', async () => {
    const command = folder.start('train', ...SMALL, '--set', 'train.epochs=100', '--workers', '2', '--json');
    await command.seen(/(a worker is ready[\s\S]*){2}/);
    const processIds = [...command.stderr().matchAll(/"worker":"\S+?-(\d+)-[0-9a-f]+"/g)].map((match) => Number(match[1]));
    expect(new Set(processIds).size).toBe(2);
    expect(processIds.every(isAlive)).toBe(true);
    command.child.kill('SIGKILL');
    await command.done;
    await until(() => !processIds.some(isAlive), 10_000);
  });

  it('train: ends with code 7 and leaves no folder when its port is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { code, stdout } = await folder.run('train', ...SMALL, '--json', '--set', `cluster.port=${port}`, '--set', 'runsFolder=none');
    server.close();
    expect(code).toBe(7);
    expect(parsed(stdout)).toMatchObject({ error: { code: 'PORT_IN_USE', port } });
    expect(await readdir(join(folder.path, 'none')).catch(() => [])).toEqual([]);
  });

  it('train: ends with the code of its error', async () => {
    const missing = await folder.run('train', '--data', 'nowhere', '--json');
    expect(missing.code).toBe(4);
    expect(parsed(missing.stdout)).toMatchObject({ error: { code: 'DATA_MISSING' } });
    const misspelt = await folder.run('train', '--set', 'train.epoch=1', '--json');
    expect(misspelt.code).toBe(3);
    expect(parsed(misspelt.stdout)).toMatchObject({ error: { code: 'CONFIG_UNKNOWN_KEY', todo: 'did you mean "train.epochs"?' } });
    const other = await folder.run('train', '--resume', reference.runFolder as string, '--set', 'model.name=vgg6', '--json');
    expect(other.code).toBe(5);
    expect(parsed(other.stdout)).toMatchObject({ error: { code: 'CHECKPOINT_OTHER_MODEL' } });
  });

  it('train: refuses to resume a run that another process works on, or whose checkpoints are all damaged', async () => {
    const run = join(folder.path, 'damaged-run');
    await cp(join(folder.path, reference.runFolder as string), run, { recursive: true });
    await writeFile(join(run, 'run.lock'), JSON.stringify({ pid: process.pid, host: hostname() }));
    const busy = await folder.run('train', '--resume', run, '--workers', '1', '--json');
    expect(busy.code).toBe(10);
    expect(parsed(busy.stdout)).toMatchObject({ error: { code: 'RUN_IN_USE' } });
    await rm(join(run, 'run.lock'));
    for (const name of await readdir(join(run, 'checkpoints'))) await truncate(join(run, 'checkpoints', name), 1000);
    const damaged = await folder.run('train', '--resume', run, '--workers', '1', '--json');
    expect(damaged.code).toBe(5);
    expect(parsed(damaged.stdout)).toMatchObject({ error: { code: 'CHECKPOINT_TRUNCATED' } });
  });
});

describe('coordinator and worker', () => {
  it('run: has the same weights when they are started apart', async () => {
    const coordinator = folder.start('coordinator', ...SMALL, '--json', '--log-level', 'info');
    const address = /127\.0\.0\.1:\d+/.exec(await coordinator.seen(/worker --coordinator 127\.0\.0\.1:\d+/))?.[0] as string;
    const workers = [1, 2].map(() => folder.start('worker', '--coordinator', address, '--json'));
    const { code, stdout } = await coordinator.done;
    expect(code).toBe(0);
    expect(parsed(stdout)).toMatchObject({ state: 'completed', weightsSha256: reference.weightsSha256 });
    for (const worker of workers) {
      const ended = await worker.done;
      expect(ended.code).toBe(0);
      expect(parsed(ended.stdout)).toEqual({ exitReason: 'completed' });
    }
  });
});

describe('other commands', () => {
  it('train: has the same weights with 1 and 2 workers that send gradients in bfloat16', async () => {
    const hashes: unknown[] = [];
    for (const workers of ['1', '2']) {
      const { stdout } = await folder.run('train', ...SMALL, '--set', 'train.gradients=bfloat16', '--workers', workers, '--json');
      hashes.push(parsed(stdout).weightsSha256);
    }
    expect(hashes[1]).toBe(hashes[0]);
    expect(hashes[0]).not.toBe(reference.weightsSha256);
  }, 60_000);

  it('audit: verifies a run and computes steps of it again', async () => {
    const { code, stdout } = await folder.run('audit', reference.runFolder as string, '--replay', '4', '--seed', '3', '--json');
    expect(code).toBe(0);
    const report = parsed(stdout);
    expect(report).toMatchObject({
      passed: true,
      steps: TOTAL_STEPS,
      state: 'completed',
      replay: { engine: reference.engine, findings: [] },
    });
    expect((report.replay as { steps: number[] }).steps).toHaveLength(4);
  }, 60_000);

  it('audit: ends with code 11 and names a record that was changed', async () => {
    const copy = join(folder.path, 'tampered');
    await cp(join(folder.path, reference.runFolder as string), copy, { recursive: true });
    const journal = join(copy, 'journal.jsonl');
    await writeFile(journal, (await readFile(journal, 'utf8')).replace('"step":9,', '"step":8,'));
    const { code, stdout } = await folder.run('audit', copy);
    expect(code).toBe(11);
    expect(stdout).toMatch(/FAILED +journal[^]*the hash of line \d+ doesn't fit[^]*NOT verified/);
  });

  it('chaos: finds the weights of an undisturbed run with local steps after a worker and the coordinator were killed', async () => {
    const settings = [
      'sync.everySteps=3',
      'data.trainSamples=512',
      'data.testSamples=50',
      'train.batchSize=32',
      'train.maxSteps=120',
      'checkpoint.everySeconds=1',
    ];
    const { code, stdout } = await folder.run(
      'chaos',
      '--preset',
      'smoke',
      ...settings.flatMap((setting) => ['--set', setting]),
      ...['--workers', '2', '--minutes', '0.2', '--faults-per-minute', '10', '--coordinator-kills', '1', '--json'],
    );
    const report = parsed(stdout);
    expect(report).toMatchObject({ passed: true, steps: 120, faults: { 'kill-coordinator': 1 }, reference: { sameWeights: true } });
    expect(report.coordinatorRestarts).toBeGreaterThan(0);
    expect(code).toBe(0);
  }, 120_000);

  it('report and export: write files from a run folder', async () => {
    const run = reference.runFolder as string;
    const report = await folder.run('report', run, '-o', 'report.html', '--json');
    expect(report.code).toBe(0);
    expect(parsed(report.stdout)).toMatchObject({ report: 'report.html', runs: [{ runId: reference.runId }] });
    expect(await readFile(join(folder.path, 'report.html'), 'utf8')).toContain('<svg');
    const onnx = await folder.run('export', run, '--format', 'onnx', '-o', 'model.onnx', '--json');
    expect(onnx.code).toBe(0);
    expect(parsed(onnx.stdout)).toMatchObject({ model: 'cnn3', inputRange: 'unit' });
    // Exporting what was exported changes nothing.
    expect((await folder.run('export', run, '--format', 'safetensors', '-o', 'model.safetensors')).code).toBe(0);
    expect((await folder.run('export', 'model.safetensors', '-o', 'again.onnx')).code).toBe(0);
    expect(await readFile(join(folder.path, 'again.onnx'))).toEqual(await readFile(join(folder.path, 'model.onnx')));
  });

  it('export: ends with code 5 when there are no weights', async () => {
    expect((await folder.run('export', 'nowhere', '-o', 'x.onnx')).code).toBe(5);
    await expect(stat(join(folder.path, 'x.onnx'))).rejects.toThrow('ENOENT');
  });

  it('doctor: finds this installation healthy', async () => {
    const { code, stdout } = await folder.run('doctor', '--json');
    const { checks, healthy } = parsed(stdout) as { checks: { name: string; state: string }[]; healthy: boolean };
    expect(checks.filter(({ state }) => state === 'failed')).toEqual([]);
    expect(healthy).toBe(true);
    expect(code).toBe(0);
  });

  it('doctor: fails with code 4 when the data that was named is missing', async () => {
    expect((await folder.run('doctor', '--data', 'nowhere')).code).toBe(4);
  });

  it('data info: describes the synthetic set', async () => {
    const { stdout } = await folder.run('data', 'info', '--source', 'synthetic', '--json');
    expect(parsed(stdout)).toMatchObject({ name: 'synthetic', origin: 'built-in', official: false });
  });
});
