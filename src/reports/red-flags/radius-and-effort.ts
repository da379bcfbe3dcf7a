/** @file Red flags of one attack over radii and efforts: more freedom and more work must show. */
import { type AttackSpec, formatAttackSpec, type Norm } from '../../config/index.ts';
import { countCorrect, type EvaluationView, type Measured } from '../evaluation/evaluation-view.ts';
import type { RedFlagRule } from './red-flag.ts';
import { aboveChance, clearlyMore, isIterated, radius, share } from './thresholds.ts';

/** No test image can be recognised at this L-infinity radius: all may become grey. */
const GREY_RADIUS = 0.5;

export const chanceAtLargeRadius: RedFlagRule = {
  id: 'not-chance-at-large-radius',
  title: 'Images that may become all grey are still classified correctly',
  severity: 'alarm',
  threshold: 'at the largest L∞ radius, when that is 0.5 or more, the interval of the worst case lies above guessing',
  check: (view, model) => {
    const eps = view.radii('linf').at(-1);
    if (eps === undefined || eps < GREY_RADIUS || !view.at(model, 'linf', eps).some(isIterated)) return undefined;
    const worst = view.worstCase(model, 'linf', eps) as string;
    return aboveChance(worst, view.chance) ? [`at ${radius('linf', eps)} ${share(worst)} are correct under all attacks`] : [];
  },
};

/** Below this radius a robust network may lose nothing; below so many images it may by luck. */
const STUCK_RADIUS = 2 / 255;
const STUCK_IMAGES = 200;

export const stuckInRadius: RedFlagRule = {
  id: 'no-effect-of-radius',
  title: 'A doubled radius changes nothing',
  severity: 'alarm',
  threshold:
    'the best iterated attack breaks not one image more at twice the L∞ radius (from 2/255, 200 images or more), accuracy above guessing',
  check: (view, model) => {
    const radii = view.radii('linf').filter((eps) => eps >= STUCK_RADIUS - 1e-9);
    const bestAt = (eps: number): Measured | undefined =>
      view
        .at(model, 'linf', eps)
        .filter(isIterated)
        .toSorted((a, b) => countCorrect(a.correct) - countCorrect(b.correct))[0];
    const pairs = radii.flatMap((eps) => {
      const twice = radii.find((other) => Math.abs(other - 2 * eps) < 1e-6);
      const [small, large] = [bestAt(eps), twice === undefined ? undefined : bestAt(twice)];
      return small === undefined || large === undefined ? [] : [{ small, large }];
    });
    if (pairs.length === 0 || view.count < STUCK_IMAGES) return undefined;
    return pairs
      .filter(({ small, large }) => countCorrect(large.correct) >= countCorrect(small.correct) && aboveChance(large.correct, view.chance))
      .map(
        ({ small, large }) =>
          `${share(small.correct)} are correct at ${radius('linf', small.eps)}, ${share(large.correct)} at ${radius('linf', large.eps)}`,
      );
  },
};

export const notMonotone: RedFlagRule = {
  id: 'not-monotone',
  title: 'A larger radius does less harm',
  severity: 'warning',
  threshold:
    'accuracy under one attack rises with the radius by more than 0.2 points and by more than chance (McNemar, exact, p < 0.05), to a level above guessing',
  check: (view, model) => {
    const bySpec = new Map<number, Measured[]>();
    for (const one of view.bounded(model)) bySpec.set(one.attack, [...(bySpec.get(one.attack) ?? []), one]);
    const curves = [...bySpec.values()].filter((curve) => curve.length > 1).map((curve) => curve.toSorted((a, b) => a.eps - b.eps));
    if (curves.length === 0) return undefined;
    return curves.flatMap((curve) =>
      curve.slice(1).flatMap((larger, index) => {
        const smaller = curve[index] as Measured;
        if (!clearlyMore(larger.correct, smaller.correct) || !aboveChance(larger.correct, view.chance)) return [];
        const { norm } = larger.spec;
        return [
          `${formatAttackSpec(larger.spec)}: ${share(smaller.correct)} correct at ${radius(norm, smaller.eps)}, ${share(larger.correct)} at ${radius(norm, larger.eps)}`,
        ];
      }),
    );
  },
};

/** Reference network: PGD with 10 against 50 steps 0 to 2 points (1/255 to 8/255, 200 images), seeds with a standard deviation of up to 0.7. */
const EFFORT_MARGIN = 0.03;
/** Attacks of fewer steps aren't meant to have converged. */
const FEWEST_STEPS = 10;

export const notConverged: RedFlagRule = {
  id: 'not-converged',
  title: 'More steps or restarts still change the result',
  severity: 'warning',
  threshold:
    'between the two longest runs of an attack (10 steps or more, same other settings) accuracy differs by more than 3 points and by more than chance (McNemar, exact, p < 0.05)',
  check: (view, model) => {
    const found = view.norms().flatMap((norm) => view.radii(norm).flatMap((eps) => longestPairs(view, model, norm, eps)));
    if (found.length === 0) return undefined;
    return found
      .filter(
        ([short, long]) =>
          clearlyMore(short.correct, long.correct, EFFORT_MARGIN) || clearlyMore(long.correct, short.correct, EFFORT_MARGIN),
      )
      .map(
        ([short, long]) =>
          `at ${radius(short.spec.norm, short.eps)} ${formatAttackSpec(short.spec)} leaves ${share(short.correct)} correct, ${formatAttackSpec(long.spec)} ${share(long.correct)}`,
      );
  },
};

function longestPairs(view: EvaluationView, model: number, norm: Norm, eps: number): [Measured, Measured][] {
  const groups = new Map<string, Measured[]>();
  for (const one of view.at(model, norm, eps)) {
    if (one.implied || Number(one.spec.settings.steps ?? 0) < FEWEST_STEPS) continue;
    const key = withoutEffort(one.spec);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].flatMap((group): [Measured, Measured][] => {
    const [long, short] = group.toSorted((a, b) => effort(b.spec) - effort(a.spec));
    return long === undefined || short === undefined || effort(long.spec) === effort(short.spec) ? [] : [[short, long]];
  });
}

function effort({ settings }: AttackSpec): number {
  return Number(settings.steps ?? 1) * Number(settings.restarts ?? 1);
}

function withoutEffort({ name, norm, settings }: AttackSpec): string {
  const others = Object.entries(settings).filter(([key]) => key !== 'steps' && key !== 'restarts');
  return JSON.stringify([name, norm, others.sort(([a], [b]) => (a < b ? -1 : 1))]);
}
