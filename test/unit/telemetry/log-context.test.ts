import { describe, expect, it } from 'vitest';
import { createLogger, logProgress, withContext } from '../../../src/telemetry/index.ts';

function lines(): { readonly written: () => Record<string, unknown>[]; readonly destination: { write(text: string): void } } {
  const texts: string[] = [];
  return {
    written: () => texts.map((text) => JSON.parse(text) as Record<string, unknown>),
    destination: { write: (text) => void texts.push(text) },
  };
}

describe('log context', () => {
  it('lines: say run, trial and step of the moment, those of outer contexts included, unless they say it themselves', () => {
    const { written, destination } = lines();
    let step = 1;
    const outer = withContext(createLogger({ json: true, destination }), () => ({ sweep: 's', trial: 't', step: 99 }));
    const logger = withContext(outer, () => ({ run: 'r', step }));
    logger.info('one');
    step = 2;
    logger.child({ extra: true }).info('two');
    logger.info({ step: 7 }, 'three');
    outer.info('four');
    expect(written()).toMatchObject([
      { msg: 'one', sweep: 's', trial: 't', run: 'r', step: 1 },
      { msg: 'two', run: 'r', step: 2, extra: true },
      { msg: 'three', run: 'r', step: 7 },
      { msg: 'four', sweep: 's', step: 99 },
    ]);
    expect(written()[3]).not.toHaveProperty('run');
  });

  it('secrets: are redacted by the names of their fields', () => {
    const { written, destination } = lines();
    createLogger({ json: true, destination }).warn({ password: 'hunter2', nats: { token: 'abc', user: 'ada' } }, 'login');
    expect(written()).toMatchObject([{ password: '[Redacted]', nats: { token: '[Redacted]', user: 'ada' } }]);
  });

  it('progress: is a line for the first and last step, and else every ten seconds', () => {
    const { written, destination } = lines();
    let nowMs = 0;
    const clock = { nowMs: () => nowMs, setTimer: () => () => {} };
    const progress = logProgress(createLogger({ json: true, destination }), 10, clock);
    progress.start({ label: 'deep', totalSteps: 5 });
    for (const step of [1, 2, 3, 4, 5]) {
      progress.step({ step, epoch: step / 2, loss: 1 / step, samplesPerSecond: 10.4, gfa: [] });
      nowMs += 6_000;
    }
    expect(written().map(({ step }) => step)).toEqual([1, 3, 5]);
    expect(written()[0]).toMatchObject({ msg: 'step', totalSteps: 5, loss: 1, samplesPerSecond: 10 });
  });
});
