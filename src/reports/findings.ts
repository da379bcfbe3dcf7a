/** @file What a reader must know before believing a report: fixed caveats and alarms computed from the figures. */
import { attackTitle, formatEps, formatPercent } from './format.ts';
import { ATTACK_ORDER, MASKING_MARGIN } from './red-flags/thresholds.ts';
import { runTitles } from './run-charts.ts';
import type { EvaluationRecord, RunRecord } from './run-record.ts';
import { wilsonInterval } from './wilson.ts';

/** `alarm` = a figure that contradicts what an attack should do; `note` = a limit of what the report can say. */
export interface Finding {
  readonly level: 'alarm' | 'note';
  readonly text: string;
}

const WITHOUT_GRADIENTS: readonly string[] = ['noise', 'square'];
/** Alarms first, then notes. */
export function findings(runs: readonly RunRecord[]): readonly Finding[] {
  const titles = runTitles(runs);
  const alarms = runs.flatMap((run, index) => alarmsOf(run, titles[index] as string));
  return [...alarms, ...notesOf(runs, titles)];
}

function alarmsOf(run: RunRecord, title: string): Finding[] {
  const alarm = (text: string): Finding => ({ level: 'alarm', text: `${title}: ${text}` });
  const found: Finding[] = [];
  const measured = run.finalAccuracies.filter((one) => one.attack !== 'clean' && one.epsLinf > 0);
  for (const [strongName, weakName] of ATTACK_ORDER)
    for (const strong of measured.filter((one) => one.attack === strongName)) {
      const weak = measured.find((one) => one.attack === weakName && one.epsLinf === strong.epsLinf);
      if (weak !== undefined && clearlyAbove(strong, weak))
        found.push(
          alarm(
            `${attackTitle(strongName)} leaves more correct answers (${formatPercent(strong.accuracy)} %) than ${attackTitle(weakName)} (${formatPercent(weak.accuracy)} %) at ε = ${formatEps(strong.epsLinf)}. The stronger attack should not be weaker: suspect gradient masking.`,
          ),
        );
    }
  for (const blind of measured.filter((one) => WITHOUT_GRADIENTS.includes(one.attack))) {
    const informed = measured.filter(
      (one) => one.epsLinf === blind.epsLinf && !WITHOUT_GRADIENTS.includes(one.attack) && one.attack !== 'worst-case',
    );
    const best = informed.toSorted((a, b) => a.accuracy - b.accuracy)[0];
    if (best !== undefined && best.accuracy - blind.accuracy > MASKING_MARGIN)
      found.push(
        alarm(
          `${attackTitle(blind.attack)} sees no gradients and leaves fewer correct answers (${formatPercent(blind.accuracy)} %) than ${attackTitle(best.attack)}, the best attack that does (${formatPercent(best.accuracy)} %), at ε = ${formatEps(blind.epsLinf)}: the gradients mislead.`,
        ),
      );
  }
  for (const strong of measured) {
    const weak = measured.find((one) => one.attack === strong.attack && one.epsLinf < strong.epsLinf && clearlyAbove(strong, one));
    if (weak !== undefined)
      found.push(
        alarm(
          `accuracy under ${attackTitle(strong.attack)} rises from ε = ${formatEps(weak.epsLinf)} to ${formatEps(strong.epsLinf)}: suspect gradient masking.`,
        ),
      );
  }
  const clean = run.finalAccuracies.find((one) => one.attack === 'clean');
  if (clean !== undefined && clean.accuracy < 0.15)
    found.push(alarm(`clean accuracy of ${formatPercent(clean.accuracy)} % is near chance; its robustness means nothing.`));
  const zeroShares = Object.entries(run.stepRecords.at(-1)?.metrics ?? {}).filter(
    ([name, share]) => name.endsWith('/zeroGradient') && share > 0.1,
  );
  for (const [name, share] of zeroShares)
    found.push(
      alarm(
        `${formatPercent(share)} % of samples have a zero gradient at ${name.split('/')[1]}; gradient attacks can't move them, and their cosine is undefined.`,
      ),
    );
  return found;
}

/** The 95 % intervals don't overlap. */
function clearlyAbove(a: EvaluationRecord, b: EvaluationRecord): boolean {
  if (a.samples <= 0 || b.samples <= 0) return a.accuracy > b.accuracy;
  return wilsonInterval(a.accuracy * a.samples, a.samples).low > wilsonInterval(b.accuracy * b.samples, b.samples).high;
}

function note(text: string): Finding {
  return { level: 'note', text };
}

function notesOf(runs: readonly RunRecord[], titles: readonly string[]): Finding[] {
  const notes: Finding[] = [];
  const attacked = runs.filter((run) => run.finalAccuracies.some((one) => one.attack !== 'clean'));
  if (attacked.length > 0) {
    const names = new Set(attacked.flatMap((run) => run.finalAccuracies.map((one) => one.attack)));
    const strong = names.has('apgd-t') && names.has('square');
    notes.push(
      note(
        strong
          ? 'Accuracies under attack are upper bounds on robust accuracy: an attack adapted to the defence can only lower them.'
          : "FGSM and PGD-10 alone don't prove robustness. They are upper bounds on robust accuracy: stronger or adaptive attacks (evaluation.attacks: apgd-t, square) can only lower it, and a defence that hides its gradients looks strong against these two.",
      ),
    );
    const samples = Math.min(
      ...attacked.flatMap((run) => run.finalAccuracies.filter((one) => one.attack !== 'clean').map((one) => one.samples)),
    );
    if (samples > 0)
      notes.push(
        note(
          `Attacks ran on the first ${samples} test images, wrongly classified ones included; intervals cover the choice of images only, not the seed.`,
        ),
      );
  }
  const seedsOf = new Map<string, Set<number>>();
  for (const run of runs) seedsOf.set(run.strategy, (seedsOf.get(run.strategy) ?? new Set()).add(run.seed));
  if ([...seedsOf.values()].some((seeds) => seeds.size === 1))
    notes.push(
      note('One seed per strategy says nothing about the spread between seeds; small differences between strategies may be luck.'),
    );
  const datasets = new Set(runs.map((run) => run.dataset));
  if (datasets.size > 1)
    notes.push(note(`The runs used different datasets (${[...datasets].join('; ')}) and can't be compared with each other.`));
  for (const dataset of datasets) {
    if (/synthetic/i.test(dataset))
      notes.push(note('The synthetic set is drawn by a program to show that everything works. Its accuracies say nothing about CIFAR-10.'));
    else if (dataset !== 'CIFAR-10')
      notes.push(note(`"${dataset}" isn't the official pixel data: its accuracies aren't comparable with published ones.`));
  }
  runs.forEach((run, index) => {
    if (run.state === 'completed') return;
    const state = run.state === 'stopped' ? 'was stopped before its end' : 'has no result yet';
    notes.push(note(`${titles[index]} ${state}: its figures are those of step ${run.steps}.`));
  });
  for (const run of runs) for (const warning of run.warnings) notes.push(note(`${run.runId}: ${warning}`));
  return notes;
}
