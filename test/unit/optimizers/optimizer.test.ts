import { describe, expect, it } from 'vitest';
import { defaultNetwork, type Config, configSchema, parameterSpecs } from '../../../src/config/index.ts';
import { Random, type TensorSpec, WasmVectorMath } from '../../../src/core/index.ts';
import { createOptimizer } from '../../../src/optimizers/optimizer.ts';

const specs: TensorSpec[] = [
  { name: 'fc.weight', shape: [2, 3], dtype: 'float32' },
  { name: 'fc.bias', shape: [2], dtype: 'float32' },
];
const START = [0.5, -0.25, 1, -1.5, 0.75, 2, 0.1, -0.2];
/** Gradient of update t = 0..4: ((7i + 5t) mod 11 - 5) / 8, exact in float32. */
const gradientAt = (t: number) => Float32Array.from({ length: 8 }, (_, i) => (((i * 7 + t * 5) % 11) - 5) / 8);

const configWith = (optimizer: object): Config => configSchema.parse({ optimizer });

/** Five updates with learning rates 0.05 / (t + 1). */
function run(optimizer: object): { parameters: Float32Array; norms: number[] } {
  const subject = createOptimizer(configWith(optimizer), specs);
  const parameters = Float32Array.from(START);
  const norms = [0, 1, 2, 3, 4].map((t) => subject.apply(parameters, gradientAt(t), 0.05 / (t + 1)).gradientNorm);
  return { parameters, norms };
}

/**
 * Parameters after the five updates by torch 1.13.0 (Debian's python3-torch, one thread, float32): a [2,3] weight and a [2] bias as
 * two parameter groups, the bias with weight_decay 0; torch.optim.SGD, Adam, AdamW; torch.nn.utils.clip_grad_norm_ before the update.
 */
const TORCH: Record<string, { optimizer: object; parameters: number[] }> = {
  'sgd without momentum': {
    optimizer: { name: 'sgd', momentum: 0 },
    parameters: [0.517395794, -0.244270831, 1.01125014, -1.53708339, 0.752812505, 2.0255208, 0.0771875083, -0.217291668],
  },
  'sgd with momentum and decay': {
    optimizer: { name: 'sgd', momentum: 0.9, weightDecay: 0.02 },
    parameters: [0.536363363, -0.236624777, 1.01246285, -1.56585741, 0.757586002, 2.03623295, 0.0555732511, -0.239632294],
  },
  'sgd with Nesterov momentum and decay': {
    optimizer: { name: 'sgd', momentum: 0.8, nesterov: true, weightDecay: 0.02 },
    parameters: [0.5415259, -0.233553335, 1.01823878, -1.58108461, 0.755979657, 2.04749823, 0.0452431031, -0.245911673],
  },
  'adam with decay': {
    optimizer: { name: 'adam', beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weightDecay: 0.3 },
    parameters: [0.539547503, -0.264847487, 0.909748077, -1.51484752, 0.690141976, 1.89825058, 0.0336297899, -0.237628222],
  },
  'adamw with decay': {
    optimizer: { name: 'adamw', beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weightDecay: 0.3 },
    parameters: [0.540686011, -0.266199231, 1.01503706, -1.53030467, 0.695996284, 2.00269699, 0.0336297899, -0.237628222],
  },
  'sgd with momentum and clipping': {
    optimizer: { name: 'sgd', momentum: 0.9, gradientClipNorm: 0.5 },
    parameters: [0.51632911, -0.244786739, 1.00783086, -1.53221047, 0.754861772, 2.0203054, 0.0802641213, -0.217118278],
  },
};

describe('optimizer', () => {
  it.each(Object.entries(TORCH))('%s: gives what torch.optim gives', (_, { optimizer, parameters }) => {
    const ours = run(optimizer).parameters;
    ours.forEach((value, i) => expect(Math.abs(value - (parameters[i] as number))).toBeLessThan(4e-7));
  });

  it('clipping: reports the norm before it, as torch does', () => {
    const torch = [1.145643949508667, 1.1456438302993774, 1.0968705415725708, 1.1524430513381958, 1.0825316905975342];
    const { norms } = run({ name: 'sgd', gradientClipNorm: 0.5 });
    norms.forEach((value, i) => expect(value).toBeCloseTo(torch[i] as number, 6));
  });

  it('clipping: leaves a gradient below the bound alone', () => {
    const subject = createOptimizer(configWith({ name: 'sgd', gradientClipNorm: 1.2 }), specs);
    expect(subject.apply(Float32Array.from(START), gradientAt(0), 0.1).clipFactor).toBe(1);
    const tight = createOptimizer(configWith({ name: 'sgd', gradientClipNorm: 0.3 }), specs);
    const { gradientNorm, clipFactor } = tight.apply(Float32Array.from(START), gradientAt(0), 0.1);
    expect(clipFactor).toBe(0.3 / (gradientNorm + 1e-6));
  });

  it.each(['sgd', 'adam', 'adamw'] as const)('%s: goes on to the same bits from restored state', (name) => {
    const config = configWith({ name, weightDecay: 0.01, gradientClipNorm: 1 });
    const whole = createOptimizer(config, specs);
    const expected = Float32Array.from(START);
    for (let t = 0; t < 5; t++) whole.apply(expected, gradientAt(t), 0.05);

    const before = createOptimizer(config, specs);
    const parameters = Float32Array.from(START);
    for (let t = 0; t < 2; t++) before.apply(parameters, gradientAt(t), 0.05);
    const after = createOptimizer(config, specs);
    after.restore(new Map(before.slots.map(({ name: slot, values }) => [slot, values.slice()])), before.updates);
    for (let t = 2; t < 5; t++) after.apply(parameters, gradientAt(t), 0.05);
    expect(parameters).toEqual(expected);
    expect(after.updates).toBe(5);
  });

  it('restore: refuses state that is missing or of another length', () => {
    const subject = createOptimizer(configWith({ name: 'adam' }), specs);
    const slots = new Map([['firstMoment', new Float32Array(8)]]);
    expect(() => subject.restore(slots, 3)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }));
    expect(() => subject.restore(new Map([...slots, ['secondMoment', new Float32Array(7)]]), 3)).toThrow(/7 values/);
    expect(subject.updates).toBe(0);
  });

  it('update: changes nothing and names the tensor when a gradient is not finite', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const subject = createOptimizer(configWith({ name: 'adamw', weightDecay: 0.1 }), specs);
      const parameters = Float32Array.from(START);
      const gradients = gradientAt(0);
      gradients[7] = value;
      expect(() => subject.apply(parameters, gradients, 0.1)).toThrow(
        expect.objectContaining({
          code: 'NON_FINITE_LOSS',
          parts: expect.objectContaining({ fields: { parameter: 'fc.bias', element: 1 } }) as unknown,
        }),
      );
      expect(parameters).toEqual(Float32Array.from(START));
      expect([subject.updates, ...subject.slots.map(({ values }) => values.every((x) => x === 0))]).toEqual([0, true, true]);
    }
  });

  it('update: refuses vectors of another length', () => {
    const subject = createOptimizer(configWith({ name: 'sgd' }), specs);
    expect(() => subject.apply(new Float32Array(8), new Float32Array(7), 0.1)).toThrow(/another model/);
  });

  it.each([
    { name: 'sgd' },
    { name: 'sgd', momentum: 0.9, weightDecay: 1e-3 },
    { name: 'sgd', momentum: 0.9, nesterov: true, gradientClipNorm: 0.7 },
    { name: 'adam' },
    { name: 'adam', weightDecay: 1e-3, gradientClipNorm: 0.7 },
    { name: 'adamw', weightDecay: 1e-2 },
  ])('%o: gives the same bits with the WebAssembly arithmetic', (optimizer) => {
    // Segments of 35, 5, 9 and 3 elements: none fills whole blocks.
    const odd: TensorSpec[] = [
      { name: 'a.weight', shape: [5, 7], dtype: 'float32' },
      { name: 'a.bias', shape: [5], dtype: 'float32' },
      { name: 'b.weight', shape: [3, 3], dtype: 'float32' },
      { name: 'b.bias', shape: [3], dtype: 'float32' },
    ];
    const random = new Random('order', 52);
    const values = () => Float32Array.from({ length: 52 }, () => random.normal() * 2 ** (random.integer(30) - 20));
    const math = new WasmVectorMath();
    const [plain, other] = [createOptimizer(configWith(optimizer), odd), createOptimizer(configWith(optimizer), odd, math)];
    const parameters = values();
    const [theirs, gradients] = [math.allocate(52), math.allocate(52)];
    theirs.set(parameters);
    for (let t = 0; t < 20; t++) {
      gradients.set(values());
      const report = plain.apply(parameters, gradients.slice(), 0.01);
      expect(other.apply(theirs, gradients, 0.01)).toEqual(report);
      expect(report.gradientNorm).toBe(Math.sqrt(gradients.reduce((sum, value) => sum + value * value, 0)));
    }
    expect(theirs.slice()).toEqual(parameters);
    expect(other.slots.map((slot) => slot.values.slice())).toEqual(plain.slots.map((slot) => slot.values));
    gradients[51] = Number.NaN;
    expect(() => other.apply(theirs, gradients, 0.01)).toThrow(expect.objectContaining({ code: 'NON_FINITE_LOSS' }));
    expect([theirs.slice(), other.updates]).toEqual([parameters, 20]);
  });

  it.each(['sgd', 'adam', 'adamw'] as const)('%s: updates vgg6 in milliseconds', (name) => {
    const vgg = parameterSpecs(defaultNetwork('vgg6'));
    const subject = createOptimizer(configWith({ name, weightDecay: 1e-4, gradientClipNorm: 1 }), vgg);
    const parameters = new Float32Array(550_570).fill(0.5);
    const gradients = Float32Array.from({ length: 550_570 }, (_, i) => (i % 7) - 3);
    const cpuMs = Array.from({ length: 12 }, () => {
      const before = process.cpuUsage();
      subject.apply(parameters, gradients, 1e-3);
      return process.cpuUsage(before).user / 1000;
    });
    // 5 to 7 ms on a quiet core; the fastest of several, with room for a busy machine and coverage counters.
    expect(Math.min(...cpuMs)).toBeLessThan(30);
  });
});
