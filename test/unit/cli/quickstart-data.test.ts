import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CommandContext } from '../../../src/cli/context.ts';
import { openQuickstartData } from '../../../src/cli/quickstart-data.ts';

let folder: string;
let notices: string;
let context: CommandContext;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quickstart-'));
  notices = '';
  context = new CommandContext({ json: false, logLevel: 'info' }, { stdout: () => {}, stderr: (text) => void (notices += text) });
  vi.stubEnv('DEEPDEFENSE_CACHE', folder);
  vi.stubEnv('DEEPDEFENSE_DATA', '');
  // No test may depend on the network: the download fails at once.
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  await rm(folder, { recursive: true, force: true });
});

describe('openQuickstartData', () => {
  it('data: is the synthetic set, with a notice, when nothing is here and nothing can be downloaded', async () => {
    const { dataset, source, notice } = await openQuickstartData(undefined, context);
    expect(source).toBe('synthetic');
    expect(dataset.name).toBe('synthetic');
    expect(notice).toContain('SYNTHETIC');
    expect(notices).toContain(notice);
  });

  it('data: that was named but is missing is an error, not a reason to use another', async () => {
    await expect(openQuickstartData(join(folder, 'none'), context)).rejects.toMatchObject({ code: 'DATA_MISSING' });
    vi.stubEnv('DEEPDEFENSE_DATA', join(folder, 'none'));
    await expect(openQuickstartData(undefined, context)).rejects.toMatchObject({ code: 'DATA_MISSING' });
  });
});
