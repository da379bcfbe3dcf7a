import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createProgress, silentProgress, type StepProgress } from '../../../src/telemetry/index.ts';

/** Keeps what is written. */
class Screen extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 200;

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

class ManualClock {
  now = 1_000_000;
  nowMs = () => this.now;
  setTimer = () => () => {};
}

const step = (number: number, changes: Partial<StepProgress> = {}): StepProgress => ({
  step: number,
  epoch: number / 40,
  loss: 1.23456,
  accuracy: 0.4567,
  samplesPerSecond: 512.4,
  gfa: [],
  ...changes,
});

describe('progress', () => {
  it('lines: come at most every so many seconds, with the first and the last step', () => {
    const [stream, clock] = [new Screen(false), new ManualClock()];
    const progress = createProgress({ stream, clock, lineEverySeconds: 10 });
    progress.step(step(1));
    progress.start({ label: 'deep', totalSteps: 100 });
    for (let number = 1; number <= 100; number++) {
      clock.now += 500;
      progress.step(step(number));
    }
    progress.stop();
    const lines = stream.text.trimEnd().split('\n');
    expect(lines.map((line) => / step (\d+)/.exec(line)?.[1])).toEqual(['1', '21', '41', '61', '81', '100']);
    expect(lines[1]).toBe('deep step 21/100 epoch 0.53 | 512 samples/s | loss 1.235 | acc 45.7 % | 40s left');
  });

  it('ETA: counts from the step of the resume', () => {
    const [stream, clock] = [new Screen(false), new ManualClock()];
    const progress = createProgress({ stream, clock, lineEverySeconds: 0 });
    progress.start({ label: 'run', totalSteps: 1000, firstStep: 900 });
    clock.now += 60_000;
    progress.step(step(910));
    clock.now += 5_940_000;
    progress.step(step(920));
    expect(stream.text.match(/\S+ left/g)).toEqual(['9m00s left', '6h40m left']);
  });

  it('GFA: shows each layer with term and cosine', () => {
    const stream = new Screen(false);
    const progress = createProgress({ stream });
    progress.start({ label: 'run', totalSteps: 9 });
    progress.step(
      step(1, {
        gfa: [
          { layer: 'conv1', term: 0.012345, cosine: -0.256 },
          { layer: 'conv2', term: 2, cosine: 0.5 },
        ],
      }),
    );
    expect(stream.text).toContain('| gfa conv1 0.0123 (c -0.26) conv2 2.00 (c 0.50) |');
  });

  it('bar: shows the step, keeps notes and log lines above itself, and ends', async () => {
    const stream = new Screen(true);
    const progress = createProgress({ stream });
    progress.start({ label: 'deep', totalSteps: 100 });
    progress.step(step(25));
    progress.note('evaluation: clean 71.2 %');
    progress.log.write('12:00:00 info  hello\n');
    await new Promise((resolve) => setTimeout(resolve, 450));
    progress.stop();
    expect(stream.text).toContain('25/100 epoch 0.63 | 512 samples/s');
    expect(stream.text).toContain('\r\u001b[2Kevaluation: clean 71.2 %\n');
    expect(stream.text).toContain('\r\u001b[2K12:00:00 info  hello\n');
    expect(stream.text.lastIndexOf('25/100')).toBeGreaterThan(stream.text.indexOf('hello'));
    const length = stream.text.length;
    progress.step(step(26));
    expect(stream.text).toHaveLength(length);
  });

  it('silent: takes everything and says nothing', () => {
    const progress = silentProgress();
    progress.start({ label: 'run', totalSteps: 1 });
    progress.step(step(1));
    progress.note('x');
    progress.stop();
    expect(progress.log).toBe(process.stderr);
  });
});
