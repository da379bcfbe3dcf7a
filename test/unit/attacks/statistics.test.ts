import { beforeAll, describe, expect, test } from 'vitest';
import {
  apgd,
  apgdTargeted,
  type Attack,
  createAttack,
  isMisclassified,
  jitter,
  pifgsm,
  projectedGradient,
  sampleRandom,
  type Samples,
  square,
} from '../../../src/attacks/index.ts';
import { parseAttackSpec } from '../../../src/config/index.ts';
import { tf } from '../../../src/engine/index.ts';
import { CompiledClassifier } from '../../../src/evaluation/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE } from '../../support/engines.ts';
import { goldenBatch, goldenMissing, goldenParameters, goldenTitle, readGoldenJson } from '../../support/golden.ts';

interface Statistics {
  /** Over seeds. */
  readonly random: readonly {
    readonly model: string;
    readonly attack: string;
    readonly params: Readonly<Record<string, unknown>>;
    readonly seeds: readonly number[];
    readonly mean: number;
    readonly sd: number;
  }[];
  readonly deterministic: readonly {
    readonly attack: string;
    readonly eps255?: number;
    readonly params: Readonly<Record<string, unknown>>;
    readonly robust_acc: number;
  }[];
}
const statistics = () => readGoldenJson<Statistics>('stats');

/** Robust accuracies of torchattacks on the golden network, see the golden README; ours have the same parameters and go on after success as it does. */
describe.skipIf(goldenMissing)(goldenTitle('attack statistics'), () => {
  const IMAGES = 256;
  let classifier: CompiledClassifier;
  beforeAll(async () => {
    await tf.setBackend('cpu');
    const config = smallConfig(QUICK_ENGINE, { evaluation: { batchSize: 64 } });
    classifier = new CompiledClassifier(config, await engineOf(QUICK_ENGINE)).use(goldenParameters());
  });

  async function robustAccuracy(attack: Attack, seed: number, count = IMAGES): Promise<number> {
    const { image, labels } = goldenBatch(0, count);
    const samples: Samples = { count, images: image.data as Float32Array, labels };
    const { classes } = classifier;
    const before = (await classifier.logits(samples)).slice();
    const attacked = await attack(classifier, samples, sampleRandom(seed, 0));
    const after = await classifier.logits({ count, images: attacked });
    const isRight = (logits: Float32Array, row: number) =>
      !isMisclassified(logits.subarray(row * classes, (row + 1) * classes), labels[row] as number);
    return [...labels.keys()].filter((row) => isRight(before, row) && isRight(after, row)).length / count;
  }

  const byName: Record<string, (eps: number) => Attack> = {
    PGD: (eps) => projectedGradient({ norm: 'linf', eps, stepSize: eps / 4, steps: 10, randomStart: true, keepGoing: true }),
    APGD: (eps) => apgd({ norm: 'linf', eps, steps: 10, keepGoing: true }),
    APGDT: (eps) => apgdTargeted({ norm: 'linf', eps, steps: 10, keepGoing: true }),
    Jitter: (eps) => jitter({ eps, keepGoing: true }),
    Square: (eps) => square({ eps, queries: 300, rescaled: true }),
  };
  const SEEDS: Record<string, number> = { PGD: 3, APGD: 3, APGDT: 2, Jitter: 5, Square: 2 };

  test.each([
    ['PGD', 1],
    ['PGD', 2],
    ['PGD', 4],
    ['APGD', 2],
    ['APGD', 4],
    ['APGDT', 2],
    ['APGDT', 4],
    ['Jitter', 2],
    ['Jitter', 4],
    ['Square', 4],
  ] as const)(
    '%s at %i/255: as torchattacks, within three standard errors',
    async (name, eps255) => {
      const reference = statistics().random.find(
        ({ model, attack, params }) => model === 'std' && attack === name && Math.abs((params.eps as number) * 255 - eps255) < 1e-3,
      );
      if (reference === undefined) throw new Error(`no statistics of ${name} at ${eps255}/255`);
      const ours: number[] = [];
      for (let seed = 0; seed < (SEEDS[name] as number); seed++)
        ours.push(await robustAccuracy((byName[name] as (eps: number) => Attack)(eps255 / 255), seed));
      const mean = ours.reduce((sum, value) => sum + value, 0) / ours.length;
      // The spread between seeds is estimated from the reference, whose seeds are more.
      const standardError = reference.sd * Math.sqrt(1 / ours.length + 1 / reference.seeds.length);
      expect(Math.abs(mean - reference.mean)).toBeLessThanOrEqual(Math.max(3 * standardError, 1 / IMAGES) + 1e-9);
    },
    120_000,
  );

  test.each([
    ['FGSM', 4, undefined],
    ['FGSM', 2, undefined],
    ['PIFGSM', 4, 10],
    ['PIFGSM', 4, 1],
  ] as const)(
    '%s at %i/255, amplification %s: as torchattacks, within one image',
    async (name, eps255, amplification) => {
      const reference = statistics().deterministic.find(
        (entry) => entry.attack === name && entry.eps255 === eps255 && entry.params.amplification === amplification,
      );
      const eps = eps255 / 255;
      const attack =
        name === 'FGSM'
          ? projectedGradient({ norm: 'linf', eps, stepSize: eps, steps: 1, keepGoing: true })
          : pifgsm({ eps, amplification: amplification as number, keepGoing: true });
      const ours = await robustAccuracy(attack, 0);
      expect(Math.abs(ours - (reference?.robust_acc as number))).toBeLessThanOrEqual(1 / IMAGES + 1e-9);
    },
    60_000,
  );

  test('stronger attacks leave less, in the order that an unmasked network gives', async () => {
    const specs = ['apgd-t:steps=10', 'apgd:steps=10', 'pgd', 'pifgsm', 'fgsm', 'square:queries=300', 'noise'];
    const left: number[] = [];
    for (const spec of specs) left.push(await robustAccuracy(createAttack(parseAttackSpec(spec), 4 / 255), 0, 96));
    const [targeted, auto, pgd, patch, fast, squares, random] = left as [number, number, number, number, number, number, number];
    const image = 1 / 96 + 1e-9;
    expect(targeted).toBeLessThanOrEqual(auto + image);
    expect(Math.abs(auto - pgd)).toBeLessThanOrEqual(2 * image);
    expect(pgd).toBeLessThanOrEqual(patch + image);
    expect(patch).toBeLessThanOrEqual(fast + image);
    expect(fast).toBeLessThan(squares - 5 * image);
    expect(squares).toBeLessThanOrEqual(random);
  }, 120_000);

  test.each([
    ['fgsm', [1, 2, 4].map((eps) => eps / 255)],
    ['bim', [1, 2, 4].map((eps) => eps / 255)],
    ['pgd', [1, 2, 4].map((eps) => eps / 255)],
    ['pgd:norm=l2', [0.1, 0.3, 0.6]],
    ['pgd:norm=l1', [2, 6, 15]],
    ['apgd:steps=10', [1, 2, 4].map((eps) => eps / 255)],
    ['apgd-dlr:steps=10', [1, 2, 4].map((eps) => eps / 255)],
    ['mi-fgsm', [1, 2, 4].map((eps) => eps / 255)],
    ['di-fgsm', [1, 2, 4].map((eps) => eps / 255)],
    ['ti-fgsm', [1, 2, 4].map((eps) => eps / 255)],
    ['pifgsm', [1, 2, 4].map((eps) => eps / 255)],
    ['jitter', [1, 2, 4].map((eps) => eps / 255)],
    ['square:queries=60', [1, 4, 16].map((eps) => eps / 255)],
    ['square:norm=l2:queries=60', [0.2, 0.8, 2.5]],
    ['noise:draws=4', [2, 16, 64].map((eps) => eps / 255)],
    ['one-pixel:population=20:generations=4', [1, 4, 16]],
  ] as const)(
    '%s: a larger radius leaves no more images',
    async (spec, radii) => {
      const count = 32;
      const left: number[] = [];
      for (const eps of radii) left.push(await robustAccuracy(createAttack(parseAttackSpec(spec), eps), 0, count));
      // Random searches may lose an image to luck.
      for (let i = 1; i < left.length; i++) expect(left[i] as number).toBeLessThanOrEqual((left[i - 1] as number) + 1 / count + 1e-9);
      expect(left.at(-1) as number).toBeLessThan(left[0] as number);
    },
    60_000,
  );
});
