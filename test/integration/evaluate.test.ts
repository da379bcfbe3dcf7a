/** @file `deepdefense evaluate` with real processes: killed in the middle, gone on with, and asked something else. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EvaluationRecord } from '../../src/evaluation/index.ts';
import { CommandFolder } from './support/command.ts';

let folder: CommandFolder;
/** Run folder of a small network. */
let run: string;

const ASKED = ['--attacks', 'noise,fgsm,pgd,apgd-dlr:steps=10,pgd:norm=l2:steps=5', '--eps', '0,0.1/255,0.5/255', '--samples', '80'];

beforeAll(async () => {
  folder = await CommandFolder.create();
  const { code, stdout } = await folder.run(
    'train',
    ...['--preset', 'smoke', '--workers', '1', '--json'],
    ...['train.maxSteps=20', 'data.trainSamples=640', 'data.testSamples=50'].flatMap((text) => ['--set', text]),
  );
  expect(code).toBe(0);
  run = (JSON.parse(stdout) as { runFolder: string }).runFolder;
}, 120_000);
afterAll(() => folder.close());

async function recordIn(out: string): Promise<EvaluationRecord> {
  return JSON.parse(await readFile(join(folder.path, out, 'evaluation.json'), 'utf8')) as EvaluationRecord;
}

/** What must not depend on workers, interruptions and time. */
function substance(record: EvaluationRecord) {
  const results = record.results.map((result) => ({ ...result, seconds: 0 }));
  return { ...record, createdAt: '', command: '', workers: 0, wallSeconds: 0, results };
}

const share = (correct: string) => correct.replaceAll('0', '').length / correct.length;

describe('evaluate', () => {
  it('has the same results bit for bit with one worker as after a kill in the middle with two', async () => {
    const undisturbed = await folder.run('evaluate', run, ...ASKED, '--workers', '1', '--out', 'one');
    expect(undisturbed.stderr).not.toContain('error');
    expect(undisturbed.code).toBe(0);
    const record = await recordIn('one');
    // 5 attacks at 2 radii, the L2 one at 1; 4 of them at radius 0, too; clean.
    expect(record.results).toHaveLength(4 * 3 + 1 + 1);
    expect(record.images.index).toHaveLength(80);
    expect(record.models).toMatchObject([{ label: 'benchmark', strategy: 'benchmark', model: 'cnn3', loss: 'cross-entropy', seed: 1 }]);
    const clean = record.results.find(({ attack }) => attack === -1);
    for (const { eps, correct } of record.results) {
      expect(correct).toMatch(/^[01]{80}$/);
      if (eps === 0) expect(correct).toBe(clean?.correct);
      // Nobody is right after an attack who was wrong before.
      expect(Array.from(correct).every((bit, row) => bit === '0' || clean?.correct[row] === '1')).toBe(true);
    }

    const killed = folder.start('evaluate', run, ...ASKED, '--workers', '2', '--out', 'two');
    await killed.seen(/fgsm at \S+: /);
    killed.child.kill('SIGKILL');
    await killed.done;
    const tasks = join(folder.path, 'two', 'tasks.jsonl');
    const before = await readFile(tasks, 'utf8');
    expect(before.split('\n').length).toBeGreaterThan(3);
    // The machine may have died in the middle of a line.
    await writeFile(tasks, before.slice(0, -7));
    const resumed = await folder.run('evaluate', run, ...ASKED, '--workers', '2', '--out', 'two');
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toMatch(/[1-9]\d* of them done before/);
    expect(substance(await recordIn('two'))).toEqual(substance(record));
  });

  it('refuses another question in the same folder and names what differs', async () => {
    const { code, stderr } = await folder.run('evaluate', run, ...ASKED, '--seed', '2', '--workers', '1', '--out', 'one');
    expect(code).toBe(5);
    expect(stderr).toContain('CHECKPOINT_OTHER_CONFIG');
    expect(stderr).toMatch(/expected: seed = 1\n\s+got: seed = 2/);
  });

  it('lets the tasks in progress end on Ctrl-C, writes what is complete, and goes on', async () => {
    const command = folder.start('evaluate', run, ...ASKED, '--workers', '2', '--out', 'stopped');
    await command.seen(/noise at \S+: /);
    command.child.kill('SIGINT');
    const stopped = await command.done;
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toContain('goes on');
    expect((await recordIn('stopped')).results.length).toBeGreaterThan(1);
    expect((await folder.run('evaluate', run, ...ASKED, '--workers', '1', '--out', 'stopped')).code).toBe(0);
    expect(substance(await recordIn('stopped'))).toEqual(substance(await recordIn('one')));
  });

  it('compares networks on the same images, tries attacked images on the others, and takes only what all classify', async () => {
    const weights = join(run, 'weights.safetensors');
    const asked = ['--attacks', 'fgsm', '--eps', '0.5/255', '--samples', '50', '--workers', '1'];
    const { code, stdout } = await folder.run('evaluate', run, weights, ...asked, '--transfer', '--only-correct-by-all', '--json');
    expect(code).toBe(0);
    const record = JSON.parse(stdout) as EvaluationRecord;
    expect(record.onlyCorrectByAll).toBe(true);
    expect(record.models.map(({ label }) => label)).toEqual(['benchmark', 'benchmark-2']);
    expect(record.images.index.length).toBeLessThan(50);
    expect(record.results.filter(({ attack }) => attack === -1).map(({ correct }) => share(correct))).toEqual([1, 1]);
    // Both are the same network, so what was made against one has the same effect on the other.
    expect(record.transfer).toHaveLength(2);
    for (const { source, target, correct } of record.transfer) {
      expect(source).not.toBe(target);
      expect(correct).toBe(record.results.find(({ attack, model }) => attack === 0 && model === source)?.correct);
    }
  });

  it('refuses what makes no sense before it starts anything', async () => {
    const refused = async (...args: string[]) => {
      const { code, stdout } = await folder.run('evaluate', ...args, '--workers', '1', '--json');
      return { exit: code, ...(JSON.parse(stdout) as { error: { code: string; todo?: string; what: string } }).error };
    };
    expect(await refused(run, '--attacks', 'pgdd')).toMatchObject({ exit: 2, code: 'USAGE', todo: 'did you mean "pgd"?' });
    expect(await refused(run, '--eps', '8')).toMatchObject({ exit: 2, todo: 'did you mean 8/255?' });
    expect(await refused(run, '--samples', '100000')).toMatchObject({ exit: 2, code: 'USAGE', todo: 'give --samples 1000 or less' });
    expect(await refused(run, '--transfer')).toMatchObject({ exit: 2, code: 'USAGE' });
    expect(await refused('nowhere')).toMatchObject({ exit: 5, code: 'CHECKPOINT_MISSING' });
  });
});
