/** @file Runs and sweeps over mutual TLS by the command line. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CommandFolder } from './support/command.ts';
import { freePort } from './support/processes.ts';
import { essence, FUNCTION_SWEEP, readRecord, writeSweep } from './support/sweeps.ts';

let folder: CommandFolder;
beforeEach(async () => {
  folder = await CommandFolder.create();
  expect(await folder.run('certs', 'init', 'certs')).toMatchObject({ code: 0 });
  for (const [role, name] of [
    ['coordinator', 'main'],
    ['worker', 'one'],
    ['operator', 'me'],
  ] as const)
    expect(await folder.run('certs', 'issue', 'certs', '--role', role, '--name', name)).toMatchObject({ code: 0 });
});
afterEach(async () => {
  await folder.close();
});

const RUN = `
data: {source: synthetic, trainSamples: 320, testSamples: 50}
model: {name: cnn3}
train: {batchSize: 32, epochs: 1}
evaluation: {robustSamples: 10, attacks: [fgsm]}
cluster: {host: 0.0.0.0}
`;

describe('mutual TLS', () => {
  it('trains with a worker that has a certificate, to the weights of a run in plain text', async () => {
    await writeFile(join(folder.path, 'run.yaml'), RUN);
    const refused = await folder.run('coordinator', '-c', 'run.yaml');
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toContain('--insecure');
    const port = await freePort();
    const coordinator = folder.start('coordinator', '-c', 'run.yaml', '--set', `cluster.port=${port}`, '--certs', 'certs/coordinator-main');
    await coordinator.seen('start workers with');
    const operator = await folder.run('worker', '--coordinator', `127.0.0.1:${port}`, '--certs', 'certs/operator-me');
    expect(operator).toMatchObject({ code: 8 });
    expect(operator.stderr).toContain('entitle');
    const worker = await folder.run('worker', '--coordinator', `127.0.0.1:${port}`, '--certs', 'certs/worker-one');
    expect(worker).toMatchObject({ code: 0 });
    expect(await coordinator.done).toMatchObject({ code: 0 });
    expect(await folder.run('train', '-c', 'run.yaml', '--workers', '2', '--insecure')).toMatchObject({ code: 0 });
    const runs = join(folder.path, 'runs');
    const results = (await readdir(runs)).map(
      async (run) => JSON.parse(await readFile(join(runs, run, 'result.json'), 'utf8')) as { weightsSha256: string },
    );
    const weights = (await Promise.all(results)).map(({ weightsSha256 }) => weightsSha256);
    expect(weights).toHaveLength(2);
    expect(weights[0]).toBe(weights[1]);
  });

  it('runs a sweep with workers of its own and one from elsewhere, controlled by an operator alone', async () => {
    const file = await writeSweep(folder, FUNCTION_SWEEP.replace('functionSeconds: 0.15', 'functionSeconds: 0.5'));
    const port = await freePort();
    const sweep = folder.start(
      ...['sweep', '-c', file, '--out', 'secured', '--workers', '1', '--host', '0.0.0.0', '--port', String(port)],
      ...['--certs', 'certs/coordinator-main'],
    );
    await sweep.seen('| 2 measurements');
    const worker = folder.start('worker', '--sweep', `127.0.0.1:${port}`, '--certs', 'certs/worker-one', '--json');
    const pause = await folder.run('sweep', 'pause', 'secured', '--certs', 'certs/worker-one');
    expect(pause).toMatchObject({ code: 8 });
    expect(pause.stderr).toContain('entitle its owner to control a sweep');
    expect(await folder.run('sweep', 'pause', 'secured', '--certs', 'certs/operator-me')).toMatchObject({ code: 0 });
    expect(await folder.run('sweep', 'resume', 'secured', '--certs', 'certs/operator-me')).toMatchObject({ code: 0 });
    expect(await sweep.done).toMatchObject({ code: 0 });
    expect(await worker.done).toMatchObject({ code: 0 });
    expect(await folder.run('sweep', '-c', file, '--out', 'plain')).toMatchObject({ code: 0 });
    expect(essence(await readRecord(folder, 'secured'))).toEqual(essence(await readRecord(folder, 'plain')));
  });

  it('trains with a worker that has a token for the run alone, and takes rotated certificates while it runs', {
    timeout: 300_000,
  }, async () => {
    await writeFile(join(folder.path, 'run.yaml'), RUN);
    const port = await freePort();
    const coordinator = folder.start(
      ...['coordinator', '-c', 'run.yaml', '--set', `cluster.port=${port}`, '--set', 'train.epochs=3'],
      ...['--certs', 'certs/coordinator-main', '--accept-tokens'],
    );
    await coordinator.seen('start workers with');
    const shown = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
          resolve(socket.getPeerCertificate().fingerprint256);
          socket.destroy();
        }).on('error', reject);
      });
    const before = await shown();
    expect(await folder.run('certs', 'rotate', 'certs', '--within', '120')).toMatchObject({ code: 0 });
    await vi.waitFor(async () => expect(await shown()).not.toBe(before), { timeout: 40_000, interval: 500 });
    const [run = ''] = await readdir(join(folder.path, 'runs'));
    const issue = (name: string, id: string) => folder.run('tokens', 'issue', 'certs', '--role', 'worker', '--name', name, '--run', id);
    expect(await issue('here', run)).toMatchObject({ code: 0 });
    expect(await issue('elsewhere', 'other-run')).toMatchObject({ code: 0 });
    const worker = (name: string) =>
      folder.run('worker', '--coordinator', `127.0.0.1:${port}`, '--token-file', `certs/token-worker-${name}/token`);
    const refused = await worker('elsewhere');
    expect(refused).toMatchObject({ code: 8 });
    expect(refused.stderr).toContain('for run "other-run"');
    // One with the new certificate, and one with a token.
    const certified = folder.start('worker', '--coordinator', `127.0.0.1:${port}`, '--certs', 'certs/worker-one');
    expect(await worker('here')).toMatchObject({ code: 0 });
    expect(await certified.done).toMatchObject({ code: 0 });
    expect(await coordinator.done).toMatchObject({ code: 0 });
    expect(await folder.run('coordinator', '-c', 'run.yaml', '--set', 'cluster.host=127.0.0.1', '--accept-tokens')).toMatchObject({
      code: 2,
    });
  });

  it('renews certificates that end soon', async () => {
    expect((await folder.run('certs', 'rotate', 'certs', '--within', '30', '--json')).stdout).toContain('"rotated": []');
    const rotated = await folder.run('certs', 'rotate', 'certs', '--within', '120');
    expect(rotated.stdout).toContain('worker-one');
    expect((await folder.run('certs', 'list', 'certs', '--json')).stdout).toContain('"role": "worker"');
    const bad = await folder.run('worker', '--coordinator', '127.0.0.1:1', '--certs', 'nowhere');
    expect(bad).toMatchObject({ code: 3 });
    expect(bad.stderr).toContain('certs issue');
  });
});
