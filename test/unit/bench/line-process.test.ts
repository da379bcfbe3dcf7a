import { afterEach, describe, expect, it } from 'vitest';
import { LineProcess } from '../../../bench/line-process.ts';

/** A child that greets, echoes requests, fails on "bad" and dies on "die". */
const CHILD = `
console.log('hello, I am not JSON');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line);
  if (request.command === 'quit') process.exit(0);
  if (request.command === 'die') { console.error('last words'); process.exit(7); }
  console.log(JSON.stringify(request.command === 'bad' ? { error: 'no-good', detail: 'because' } : { echo: request.value }));
});`;

let child: LineProcess | undefined;
const start = (command = process.execPath): LineProcess => (child = new LineProcess({ command, args: ['-e', CHILD] }));
afterEach(() => child?.close());

describe('LineProcess', () => {
  it('LineProcess: answers requests in order when other lines are printed between', async () => {
    const process = start();
    expect(await Promise.all([process.request('echo', { value: 1 }), process.requestNumber('echo', 'echo').catch(String)])).toEqual([
      { echo: 1 },
      'LineProcessError: answer to "echo" has no number "echo": {}',
    ]);
  });

  it('LineProcess: rejects one request and goes on when the child answers with an error', async () => {
    const process = start();
    await expect(process.request('bad')).rejects.toMatchObject({ reply: 'no-good', message: 'no-good (because)' });
    expect(await process.request('echo', { value: 'x' })).toEqual({ echo: 'x' });
  });

  it('LineProcess: rejects with exit code and stderr when the child dies', async () => {
    const process = start();
    await expect(process.request('die')).rejects.toThrow(/exit code 7[\s\S]*last words/);
    await expect(process.request('echo')).rejects.toThrow('exit code 7');
  });

  it('LineProcess: rejects when the command cannot be started', async () => {
    await expect(start('/nonexistent/command').request('echo')).rejects.toThrow(`can't start "/nonexistent/command"`);
  });
});
