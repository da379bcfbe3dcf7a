import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { runCli } from '../../../src/cli/run-cli.ts';
import { configFields } from '../../../src/config/index.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const code = await runCli(args, { stdout: (text) => void (stdout += text), stderr: (text) => void (stderr += text) });
  return { code, stdout, stderr };
}

const COMMANDS = [
  ...[
    'quickstart',
    'train',
    'coordinator',
    'worker',
    'evaluate',
    'sweep',
    'submit',
    'quota',
    'report',
    'audit',
    'export',
    'data',
    'config',
  ],
  ...['chaos', 'bench', 'certs', 'tokens', 'doctor'],
];

describe('runCli', () => {
  it('help: lists the commands and ends with 0', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
  });

  it.each([...COMMANDS.filter((command) => !['config', 'data'].includes(command)), 'config show', 'data get', 'data verify', 'data info'])(
    'help: of %s has an example and the global options',
    async (command) => {
      const { code, stdout } = await run(...command.split(' '), '--help');
      expect(code).toBe(0);
      expect(stdout).toContain(`$ deepdefense ${command}`);
      expect(stdout).toContain('--json');
      expect(stdout).toContain('--log-level');
    },
  );

  it('version: is printed', async () => {
    expect((await run('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([[['worker']], [['worker', '--coordinator', 'here:1', '--sweep', 'there:2']], [['sweep']]])(
    'usage: %j says what is missing and ends with code 2',
    async (args) => {
      const { code, stdout, stderr } = await run(...args);
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/^error USAGE: .+\n {2}expected: /);
    },
  );

  it.each([
    [['trian']],
    [['train', '--wrokers', '2']],
    [['config', 'shwo']],
    [['worker', '--coordinator', 'nowhere']],
    [['train', '--workers', '1.5']],
    [['train', '--min-workers', '0']],
    [['coordinator', '--max-workers', 'two']],
  ])('usage: %j ends with code 2', async (args) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^error: /);
  });

  it('train: is refused at once when it starts fewer workers than a step waits for', async () => {
    const { code, stderr } = await run('train', '--preset', 'smoke', '--workers', '2', '--min-workers', '3');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error USAGE: no step could start/);
  });

  it('sweep plan: says what is wrong with the space before it times anything', async () => {
    const file = join(folder, 'plan.yaml');
    await writeFile(
      file,
      'config: {data: {source: synthetic}}\nspace: {optimizer.learnigRate: {type: float, low: 0.1, high: 1}}\nobjectives: [{name: clean-accuracy}]\n',
    );
    const { code, stderr } = await run('sweep', 'plan', '-c', file);
    expect(code).toBe(3);
    expect(stderr).toContain('optimizer.learnigRate');
    expect(stderr).not.toContain('timing');
  });

  it('usage: is one JSON document with --json', async () => {
    const { code, stdout } = await run('train', '--wrokers', '2', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'USAGE', exitCode: 2 } });
  });

  it('usage: suggests the nearest command', async () => {
    expect((await run('trian')).stderr).toContain('train');
  });

  it('config show: prints YAML with every default', async () => {
    const { code, stdout } = await run('config', 'show', '--preset', 'smoke', '--set', 'train.epochs=2');
    expect(code).toBe(0);
    expect(parse(stdout)).toMatchObject({ name: 'smoke', train: { epochs: 2, shards: 8 }, optimizer: { beta1: 0.9 } });
  });

  it('config show: takes --json before and after the command', async () => {
    for (const args of [
      ['--json', 'config', 'show'],
      ['config', 'show', '--json'],
    ]) {
      expect(JSON.parse((await run(...args)).stdout)).toMatchObject({ name: 'run' });
    }
  });

  it('config show: reports all problems with code 3', async () => {
    const file = join(folder, 'bad.yaml');
    await writeFile(file, 'train: {batchSize: 100}\nstratgy: {name: deep}\n');
    const text = await run('config', 'show', '-c', file);
    expect(text.code).toBe(3);
    expect(text.stdout).toBe('');
    expect(text.stderr).toContain('CONFIG_UNKNOWN_KEY');
    expect(text.stderr).toContain('CONFIG_BATCH_NOT_DIVISIBLE');
    const json = await run('config', 'show', '-c', file, '--json');
    expect(json.code).toBe(3);
    const { error } = JSON.parse(json.stdout) as { error: { code: string; problems: { code: string; path: string }[] } };
    expect(error.code).toBe('CONFIG_UNKNOWN_KEY');
    expect(error.problems.map(({ path }) => path)).toEqual(['stratgy', 'train.batchSize']);
  });

  it('config docs, schema and presets: print', async () => {
    expect((await run('config', 'docs')).stdout).toContain(`\`${configFields()[0]?.path}\``);
    expect(JSON.parse((await run('config', 'schema')).stdout)).toMatchObject({ type: 'object' });
    expect((await run('config', 'presets')).stdout).toContain('smoke');
  });

  it('missing file: ends with code 3 and says what to do', async () => {
    const { code, stderr } = await run('train', '-c', join(folder, 'none.yaml'));
    expect(code).toBe(3);
    expect(stderr).toContain('error CONFIG_FILE_MISSING');
    expect(stderr).toContain('to do:');
  });
});
