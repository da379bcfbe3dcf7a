/** @file Red flags between attacks at one radius: one that sees or does less must not do more harm. */
import { type AttackName, formatAttackSpec, type Norm } from '../../config/index.ts';
import { allCorrect, countCorrect, type EvaluationView, type Measured } from '../evaluation/evaluation-view.ts';
import type { RedFlagRule } from './red-flag.ts';
import { ATTACK_ORDER, clearlyMore, isIterated, lead, MASKING_MARGIN, radius, share } from './thresholds.ts';

interface Place {
  readonly norm: Norm;
  readonly eps: number;
  readonly all: readonly Measured[];
  readonly at: string;
}

/** Calls back for each norm and radius; undefined when no call finds what it compares. */
function everywhere(view: EvaluationView, model: number, look: (place: Place) => readonly string[] | undefined): string[] | undefined {
  const found = view
    .norms()
    .flatMap((norm) => view.radii(norm).map((eps): Place => ({ norm, eps, all: view.at(model, norm, eps), at: radius(norm, eps) })))
    .map(look)
    .filter((one) => one !== undefined);
  return found.length === 0 ? undefined : found.flat();
}

const nameOf = ({ spec }: Measured): string => formatAttackSpec(spec);
const fewest = (all: readonly Measured[]): Measured | undefined =>
  all.toSorted((a, b) => countCorrect(a.correct) - countCorrect(b.correct))[0];

/** Pairs of bounded attacks on the same loss, of which the first should be the stronger. */
function orderedPairs(all: readonly Measured[], isWeak: (name: AttackName) => boolean): [Measured, Measured][] {
  const bounded = all.filter(({ implied }) => !implied);
  return ATTACK_ORDER.filter(([, weak]) => isWeak(weak)).flatMap(([strongName, weakName]) =>
    bounded
      .filter(({ spec }) => spec.name === strongName)
      .flatMap((strong) =>
        bounded
          .filter(({ spec }) => spec.name === weakName && (weakName !== 'fgsm' || spec.settings.loss === strong.spec.settings.loss))
          .map((weak): [Measured, Measured] => [strong, weak]),
      ),
  );
}

function outOfOrder(isWeak: (name: AttackName) => boolean): RedFlagRule['check'] {
  return (view, model) =>
    everywhere(view, model, ({ all, at }) => {
      const pairs = orderedPairs(all, isWeak);
      if (pairs.length === 0) return undefined;
      return pairs
        .filter(([strong, weak]) => clearlyMore(strong.correct, weak.correct))
        .map(
          ([strong, weak]) =>
            `at ${at} ${nameOf(strong)} leaves ${share(strong.correct)} correct, ${nameOf(weak)} only ${share(weak.correct)}`,
        );
    });
}

const PAIRED = 'by more than 0.2 points and by more than chance (McNemar, exact, p < 0.05)';

export const singleStep: RedFlagRule = {
  id: 'single-step-stronger',
  title: 'A single step does more harm than many',
  severity: 'alarm',
  threshold: `FGSM leaves fewer images correct than BIM, PGD or APGD on the same loss, ${PAIRED}`,
  check: outOfOrder((weak) => weak === 'fgsm'),
};

export const targetedWeaker: RedFlagRule = {
  id: 'attack-order',
  title: 'A stronger attack does less harm than a weaker one',
  severity: 'warning',
  threshold: `APGD-T leaves more images correct than PGD or APGD, ${PAIRED}`,
  check: outOfOrder((weak) => weak !== 'fgsm'),
};

export const blackBox: RedFlagRule = {
  id: 'black-box-stronger',
  title: 'An attack without gradients does more harm than all that use them',
  severity: 'alarm',
  threshold:
    'more than 0.2 points below the best iterated gradient attack at the same radius, in norms other than L0; images are counted, as all attacks saw the same ones',
  check: (view, model) =>
    everywhere(view, model, ({ norm, all, at }) => {
      // No attack with gradients is made for the fewest pixels: an honest cnn3 leaves 37 % correct with one-pixel, 53 % with SparseFool.
      if (norm === 'l0') return undefined;
      const blind = all.filter(({ description }) => description.sees !== 'gradients');
      const best = fewest(all.filter(isIterated));
      if (blind.length === 0 || best === undefined) return undefined;
      return blind
        .filter(({ correct }) => lead(best.correct, correct) > MASKING_MARGIN + 1e-12)
        .map(
          (one) =>
            `at ${at} ${nameOf(one)} leaves ${share(one.correct)} correct, ${nameOf(best)}, the best attack with gradients, ${share(best.correct)}`,
        );
    }),
};

export const noiseBreaks: RedFlagRule = {
  id: 'noise-breaks',
  title: 'Random noise breaks images that gradients do not',
  severity: 'alarm',
  threshold: 'one image or more that withstands every gradient attack within a radius, but not one random point of the same ball',
  check: (view, model) =>
    everywhere(view, model, ({ norm, eps, all, at }) => {
      const noise = all.filter(({ spec }) => spec.name === 'noise');
      if (noise.length === 0 || !all.some(isIterated)) return undefined;
      const withstood = view.worstCase(model, norm, eps, ({ description }) => description.sees === 'gradients') as string;
      const both = allCorrect([withstood, ...noise.map(({ correct }) => correct)]);
      const broken = countCorrect(withstood) - countCorrect(both);
      return broken === 0 ? [] : [`at ${at} noise breaks ${broken} of ${view.count} images that withstand all gradient attacks`];
    }),
};

/** Twice what it is on the reference networks: at 4/255, 10 steps, APGD 14.1 % and APGD-T 10.4 %; with adversarial training 30.7 and 28.1 %. */
const LOSS_MARGIN = 0.08;
const climbsCrossEntropy = ({ spec }: Measured): boolean =>
  spec.settings.loss === 'cross-entropy' && ['pgd', 'bim', 'apgd'].includes(spec.name);
const climbsMargin = ({ spec }: Measured): boolean =>
  spec.name === 'apgd-t' || spec.name === 'apgd-dlr' || spec.settings.loss === 'margin' || spec.settings.loss === 'dlr';

export const lossMismatch: RedFlagRule = {
  id: 'loss-mismatch',
  title: 'Attacks on the margin do far more harm than attacks on the cross-entropy',
  severity: 'warning',
  threshold: 'more than 8 points (reference networks: up to 4) and by more than chance (McNemar, exact, p < 0.05)',
  check: (view, model) =>
    everywhere(view, model, ({ all, at }) => {
      const [entropy, margin] = [fewest(all.filter(climbsCrossEntropy)), fewest(all.filter(climbsMargin))];
      if (entropy === undefined || margin === undefined) return undefined;
      if (!clearlyMore(entropy.correct, margin.correct, LOSS_MARGIN)) return [];
      const loss = view.record.models[model]?.loss ?? 'unknown';
      return [
        `at ${at} ${nameOf(margin)} leaves ${share(margin.correct)} correct, ${nameOf(entropy)} ${share(entropy.correct)}; the network was trained with the loss ${loss}`,
      ];
    }),
};

export const transferStronger: RedFlagRule = {
  id: 'transfer-stronger',
  title: 'Images made against another network do more harm than those made against this one',
  severity: 'alarm',
  threshold: `transferred images leave fewer correct than the best iterated gradient attack on the network itself, ${PAIRED}`,
  check: (view, model) => {
    const own = view.record.transfer.filter(
      ({ source, target, correct }) => target === model && source !== model && view.complete(correct),
    );
    const compared = own.flatMap(({ source, attack, eps, correct }) => {
      const spec = view.record.attacks[attack];
      const best = spec === undefined ? undefined : fewest(view.at(model, spec.norm, eps).filter(isIterated));
      return spec === undefined || best === undefined ? [] : [{ source, spec, eps, correct, best }];
    });
    if (compared.length === 0) return undefined;
    return compared
      .filter(({ correct, best }) => clearlyMore(best.correct, correct))
      .map(
        ({ source, spec, eps, correct, best }) =>
          `at ${radius(spec.norm, eps)} ${formatAttackSpec(spec)} made against ${view.label(source)} leaves ${share(correct)} correct, ${nameOf(best)} made against the network itself ${share(best.correct)}`,
      );
  },
};
