import { describe, expect, it } from 'vitest';
import { describeAttack, gfaOf, showProgress } from '../../../src/cli/show-progress.ts';
import type { RunEvent } from '../../../src/coordinator/index.ts';
import type { ProgressSink } from '../../../src/telemetry/index.ts';

describe('gfaOf', () => {
  it('layers: come in the order of the metrics, also names with a slash', () => {
    const metrics = { loss: 2, 'gfa/input/term': 0.5, 'gfa/input/cosine': -0.25, 'gfa/conv2/term': 3, 'gfa/conv2/absCosine': 1 };
    expect(gfaOf(metrics)).toEqual([
      { layer: 'input', term: 0.5, cosine: -0.25 },
      { layer: 'conv2', term: 3, cosine: Number.NaN },
    ]);
  });
});

describe('describeAttack', () => {
  it.each([
    ['clean', 0, 'clean accuracy'],
    ['fgsm', 2 / 255, 'accuracy under fgsm at 2/255'],
    ['pgd', 8 / 255, 'accuracy under pgd at 8/255'],
    ['pgd', 0.1, 'accuracy under pgd at 0.1000'],
  ])('attack: %s at %d', (attack, epsLinf, text) => {
    expect(describeAttack(attack, epsLinf)).toBe(text);
  });
});

describe('showProgress', () => {
  it('events: reach the sink and end with stop', async () => {
    const calls: unknown[] = [];
    const sink: ProgressSink = {
      start: (start) => calls.push(start),
      step: (step) => calls.push(step),
      note: (text) => calls.push(text),
      stop: () => calls.push('stop'),
      log: { write: () => {} },
    };
    const events: RunEvent[] = [
      { kind: 'started', runId: 'a', runFolder: 'runs/a', totalSteps: 9, firstStep: 4, samplesPerEpoch: 100 },
      {
        kind: 'step',
        step: 5,
        totalSteps: 9,
        epoch: 0.5,
        loss: 1.25,
        learningRate: 0.1,
        gradientNorm: 3,
        metrics: { accuracy: 0.75 },
        samplesPerSecond: 12,
        seconds: 1,
        readyWorkers: 2,
      },
      { kind: 'evaluation', step: 5, attack: 'fgsm', epsLinf: 8 / 255, samples: 200, accuracy: 0.3456, meanLoss: 1, seconds: 2 },
      { kind: 'finished', state: 'completed', reason: 'all done' },
    ];
    await showProgress(
      (async function* () {
        yield* events;
      })(),
      sink,
      'deep',
    );
    expect(calls).toEqual([
      'a: 9 steps, folder runs/a, resumed after step 4',
      { label: 'deep', totalSteps: 9, firstStep: 4 },
      { step: 5, epoch: 0.5, loss: 1.25, samplesPerSecond: 12, accuracy: 0.75, gfa: [] },
      'step 5: accuracy under fgsm at 8/255 34.56 % of 200 test images',
      'stop',
      'completed: all done',
      'stop',
    ]);
  });
});
