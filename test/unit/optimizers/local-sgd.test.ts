import { describe, expect, it } from 'vitest';
import { type Config, configSchema } from '../../../src/config/index.ts';
import { type TensorSpec, WasmVectorMath } from '../../../src/core/index.ts';
import { createOptimizer, createRunOptimizer, LocalReplica, startVector, vectorLength } from '../../../src/optimizers/index.ts';
import { sameBits } from '../../support/bits.ts';

const specs: TensorSpec[] = [
  { name: 'fc.weight', shape: [2, 2], dtype: 'float32' },
  { name: 'fc.bias', shape: [1], dtype: 'float32' },
];
const P = 5;
const START = [0.5, -0.25, 1, -1.5, 0.75];
const RATES = [0.05, 0.04, 0.03];
const gradientAt = (t: number, replica = 0) => Float32Array.from({ length: P }, (_, i) => (((i * 7 + t * 5 + replica * 3) % 11) - 5) / 8);

const configWith = (optimizer: object, sync: object = {}): Config => configSchema.parse({ optimizer, sync: { everySteps: 3, ...sync } });
const vectorOf = (config: Config, parameters: readonly number[]) => {
  const vector = new Float32Array(vectorLength(config, P));
  vector.set(parameters);
  return vector;
};

/** One round of one replica. */
function answer(config: Config, start: Float32Array, step = 0, replica = 0): Float32Array {
  const subject = LocalReplica.create(config, specs);
  if (subject === undefined) throw new Error('the config has no local steps');
  subject.begin(start, step);
  for (const [t, rate] of RATES.entries()) subject.update(gradientAt(step + t, replica), rate);
  const out = new Float32Array(vectorLength(config, P));
  subject.finish(out);
  return out;
}

describe('what travels', () => {
  it('is the parameters, and each state vector that is averaged', () => {
    expect(vectorLength(configWith({ name: 'adam' }), P)).toBe(3 * P);
    expect(vectorLength(configWith({ name: 'sgd' }), P)).toBe(2 * P);
    expect(vectorLength(configWith({ name: 'sgd', momentum: 0 }), P)).toBe(P);
    expect(vectorLength(configWith({ name: 'adam' }, { innerState: 'reset' }), P)).toBe(P);
    expect(vectorLength(configWith({ name: 'adam' }, { everySteps: 1 }), P)).toBe(P);
  });

  it('without local steps is the parameters themselves, and updates are those of the config', () => {
    const config = configWith({ name: 'adam' }, { everySteps: 1 });
    const parameters = Float32Array.from(START);
    const optimizer = createRunOptimizer(config, specs);
    expect(startVector(config, parameters, optimizer)).toBe(parameters);
    expect(LocalReplica.create(config, specs)).toBeUndefined();
    const expected = Float32Array.from(START);
    createOptimizer(config, specs).apply(expected, gradientAt(0), 0.1);
    optimizer.apply(parameters, gradientAt(0), 0.1);
    expect(sameBits(parameters, expected)).toBe(true);
  });
});

describe('local replica', () => {
  it.each(['adam', 'adamw', 'sgd'])('takes the steps of %s, from averaged state as if it had never stopped', (name) => {
    const config = configWith({ name, weightDecay: 0.01 });
    const whole = createOptimizer(config, specs);
    const parameters = Float32Array.from(START);
    for (const [t, rate] of RATES.entries()) whole.apply(parameters, gradientAt(t), rate);
    const first = answer(config, vectorOf(config, START));
    const end = Float32Array.from(START, (value, i) => value - (first[i] as number));
    for (let i = 0; i < P; i++) expect(end[i]).toBeCloseTo(parameters[i] as number, 6);
    for (const [index, { values }] of whole.slots.entries())
      expect(sameBits(first.slice((index + 1) * P, (index + 2) * P), values)).toBe(true);

    const next = Float32Array.from(first);
    next.set(parameters);
    for (const [t, rate] of RATES.entries()) whole.apply(parameters, gradientAt(3 + t), rate);
    const second = answer(config, next, 3);
    for (const [index, { values }] of whole.slots.entries())
      expect(sameBits(second.slice((index + 1) * P, (index + 2) * P), values)).toBe(true);
  });

  it('begins anew each time where the state is reset, whatever came before', () => {
    const config = configWith({ name: 'adam' }, { innerState: 'reset' });
    const subject = LocalReplica.create(config, specs) as LocalReplica;
    const outs = [0, 7].map((step) => {
      subject.begin(vectorOf(config, START), step);
      subject.update(gradientAt(0), 0.1);
      const out = new Float32Array(P);
      subject.finish(out);
      return out;
    });
    expect(sameBits(outs[0] as Float32Array, outs[1] as Float32Array)).toBe(true);
    const whole = createOptimizer(config, specs);
    const parameters = Float32Array.from(START);
    whole.apply(parameters, gradientAt(0), 0.1);
    expect(sameBits(subject.parameters, parameters)).toBe(true);
  });

  it('says so when a gradient is not finite', () => {
    const subject = LocalReplica.create(configWith({ name: 'sgd' }), specs) as LocalReplica;
    subject.begin(vectorOf(configWith({ name: 'sgd' }), START), 0);
    expect(() => subject.update(Float32Array.of(0, 0, Number.NaN, 0, 0), 0.1)).toThrow(
      expect.objectContaining({ code: 'NON_FINITE_LOSS' }),
    );
  });
});

describe('outer optimiser', () => {
  it('follows v = m v + d; p -= lr (d + m v), and takes the averaged state over', () => {
    const config = configWith({ name: 'adam' }, { outerLearningRate: 0.5, outerMomentum: 0.8 });
    const subject = createRunOptimizer(config, specs);
    expect(subject.slots.map(({ name }) => name)).toEqual(['outerMomentum', 'firstMoment', 'secondMoment']);
    const parameters = Float32Array.from(START);
    const expected = [...START];
    const velocity = START.map(() => 0);
    for (const round of [0, 1, 2]) {
      const mean = Float32Array.from({ length: 3 * P }, (_, i) => (((i * 3 + round) % 7) - 3) / 16);
      subject.apply(parameters, mean, 123);
      for (let i = 0; i < P; i++) {
        const change = mean[i] as number;
        velocity[i] = 0.8 * (velocity[i] as number) + change;
        expected[i] = (expected[i] as number) - 0.5 * (change + 0.8 * (velocity[i] as number));
        expect(parameters[i]).toBeCloseTo(expected[i] as number, 5);
      }
      expect([...startVector(config, parameters, subject)]).toEqual([...parameters, ...mean.slice(P)]);
    }
    expect(subject.updates).toBe(3);
  });

  it('with factor 1 and no momentum is plain averaging of the replicas', () => {
    const config = configWith({ name: 'sgd' }, { outerLearningRate: 1, outerMomentum: 0, innerState: 'reset' });
    const answers = [0, 1].map((replica) => answer(config, vectorOf(config, START), 0, replica));
    const mean = (answers[0] as Float32Array).map((value, i) => (value + ((answers[1] as Float32Array)[i] as number)) / 2);
    const parameters = Float32Array.from(START);
    createRunOptimizer(config, specs).apply(parameters, mean, 0);
    const ends = answers.map((change) => START.map((value, i) => value - (change[i] as number)));
    for (let i = 0; i < P; i++)
      expect(parameters[i]).toBeCloseTo((((ends[0] as number[])[i] as number) + ((ends[1] as number[])[i] as number)) / 2, 6);
  });

  it('goes on from a checkpoint with the same bits, in WebAssembly as in plain loops', () => {
    const config = configWith({ name: 'adam' });
    const mean = (round: number) => Float32Array.from({ length: 3 * P }, (_, i) => Math.sin(i + round));
    const math = new WasmVectorMath();
    const inMath = (values: Float32Array) => {
      const vector = math.allocate(values.length);
      vector.set(values);
      return vector;
    };
    const whole = createRunOptimizer(config, specs);
    const parameters = Float32Array.from(START);
    for (const round of [0, 1]) whole.apply(parameters, mean(round), 0);
    const resumed = createRunOptimizer(config, specs, math);
    resumed.restore(new Map(whole.slots.map(({ name, values }) => [name, values.slice()])), whole.updates);
    const again = inMath(parameters);
    whole.apply(parameters, mean(2), 0);
    resumed.apply(again, inMath(mean(2)), 0);
    expect(sameBits(again, parameters)).toBe(true);
    for (const [index, { values }] of whole.slots.entries())
      expect(sameBits(resumed.slots[index]?.values as Float32Array, values)).toBe(true);
    expect(() => createRunOptimizer(config, specs).restore(new Map([['outerMomentum', new Float32Array(P)]]), 1)).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }),
    );
  });
});
