/**
 * @file AutoAttack, version "standard" (Croce and Hein, ICML 2020, arXiv 2003.01690, section 5): APGD on cross-entropy, targeted APGD,
 * targeted FAB and Square with their fixed budgets, each on the images that withstood those before. An image counts as robust if it withstands all.
 */
import { apgd, apgdTargeted } from './apgd.ts';
import { type Attack, type AttackRandom, imageOf, joinImages, type Samples } from './attack.ts';
import { IMAGE_VALUES } from './classifier.ts';
import { fabTargeted } from './fab.ts';
import { correctRows } from './search.ts';
import { square } from './square.ts';
import { squareL2 } from './square-l2.ts';

export interface AutoAttackOptions {
  readonly norm: 'linf' | 'l2';
  /** Radius in [0,1] pixel units. */
  readonly eps: number;
}

/**
 * See the file's header. Targets are all other classes, at most 9. Each attack draws what it draws on its own. Images that withstand are
 * returned clean.
 * @throws DeepDefenseError USAGE with fewer than 4 classes, when it runs
 */
export function autoAttack({ norm, eps }: AutoAttackOptions): Attack {
  return attackSurvivors([
    apgd({ norm, eps, steps: 100 }),
    apgdTargeted({ norm, eps, steps: 100 }),
    fabTargeted({ norm, steps: 100, within: eps }),
    (norm === 'l2' ? squareL2 : square)({ eps, queries: 5000 }),
  ]);
}

/** One attack after the other, each on the images that are still classified correctly. */
function attackSurvivors(attacks: readonly Attack[]): Attack {
  return async (classifier, samples, random) => {
    const images = samples.images.slice();
    let rows = await correctRows(classifier, samples);
    for (const attack of attacks) {
      if (rows.length === 0) break;
      const left = pick(samples, rows);
      const found = await attack(classifier, left, randomOf(random, rows));
      for (const [index, row] of rows.entries()) images.set(imageOf({ images: found }, index), row * IMAGE_VALUES);
      const standing = await correctRows(classifier, { ...left, images: found });
      rows = standing.map((index) => rows[index] as number);
    }
    return images;
  };
}

function pick(samples: Samples, rows: readonly number[]): Samples {
  return {
    count: rows.length,
    images: joinImages(rows.map((row) => imageOf(samples, row))),
    labels: Int32Array.from(rows, (row) => samples.labels[row] as number),
  };
}

function randomOf(random: AttackRandom, rows: readonly number[]): AttackRandom {
  return { stream: (row, purpose) => random.stream(rows[row] as number, purpose) };
}
