/** @file An evaluation as a terminal shows it: red flags first, then accuracies with intervals, distances, and which differences count. */
import Table from 'cli-table3';
import { type EvaluationRecord, formatAttackSpec } from '../../config/index.ts';
import { formatPercent } from '../format.ts';
import { findRedFlags, uncheckedRules } from '../red-flags/find-red-flags.ts';
import { radius } from '../red-flags/thresholds.ts';
import { wilsonInterval } from '../wilson.ts';
import { passesDone } from './completeness.ts';
import { countCorrect, EvaluationView } from './evaluation-view.ts';
import { minimumNormRows } from './minimum-norm.ts';
import { pairTests } from './model-pairs.ts';

/** No colours; the caller prints it. */
export function evaluationSummary(record: EvaluationRecord): string {
  const view = new EvaluationView(record);
  const which = record.onlyCorrectByAll ? ', only those that all networks classify correctly: no accuracy here counts clean errors' : '';
  return [
    redFlagLines(view),
    uncheckedLine(view),
    accuracyTable(view),
    `${view.count} test images${which}; in brackets Wilson's 95 % interval. worst case = correct under every attack of the norm up to the radius`,
    missingLine(view),
    distanceTable(view),
    pairLines(view),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function redFlagLines(view: EvaluationView): string {
  const flags = findRedFlags(view);
  if (flags.length === 0) return 'no red flags among those that these attacks can raise';
  const lines = flags.map(
    ({ rule, model, evidence }) => `  ${rule.severity} ${view.label(model)}: ${rule.title} (${rule.id})\n    ${evidence.join('\n    ')}`,
  );
  return [`RED FLAGS: ${flags.length}; see docs/red-flags.md`, ...lines].join('\n');
}

function uncheckedLine(view: EvaluationView): string {
  const unchecked = uncheckedRules(view);
  return unchecked.length === 0 ? '' : `not checked for lack of measurements: ${unchecked.map(({ rule }) => rule.id).join(', ')}`;
}

function missingLine(view: EvaluationView): string {
  const { done, all } = passesDone(view);
  return done === all ? '' : `not complete: ${done} of ${all} passes (network, attack, radius) are done; worst cases can still fall`;
}

function accuracyTable(view: EvaluationView): string {
  const { models, attacks, results } = view.record;
  const table = newTable(['attack', 'radius', ...models.map(({ label }) => label)]);
  const cells = (of: (model: number) => string | undefined): string[] => models.map((_, model) => accuracyCell(of(model)));
  table.push(['clean', '', ...cells((model) => view.clean(model))]);
  for (const norm of view.norms())
    for (const eps of view.radii(norm)) {
      for (const [attack, spec] of attacks.entries()) {
        const own = results.filter((one) => one.attack === attack && one.eps === eps && spec.norm === norm);
        if (own.length === 0) continue;
        table.push([
          formatAttackSpec(spec),
          radius(norm, eps),
          ...cells((model) => {
            const correct = own.find((one) => one.model === model)?.correct;
            return correct !== undefined && view.complete(correct) ? correct : undefined;
          }),
        ]);
      }
      table.push(['worst case', radius(norm, eps), ...cells((model) => view.worstCase(model, norm, eps))]);
    }
  return table.toString();
}

function accuracyCell(correct: string | undefined): string {
  if (correct === undefined) return '-';
  const count = countCorrect(correct);
  const { low, high } = wilsonInterval(count, correct.length);
  return `${formatPercent(count / correct.length)} % [${formatPercent(low)}, ${formatPercent(high)}]`;
}

function distanceTable(view: EvaluationView): string {
  const rows = minimumNormRows(view);
  if (rows.length === 0) return '';
  const table = newTable(['nearest image', 'network', 'found', 'median L2', 'median L∞', 'median L1', 'median pixels']);
  for (const { spec, model, found, attacked, medians } of rows) {
    const text = (name: 'l2' | 'linf' | 'l1' | 'l0'): string => (medians === undefined ? '-' : distanceText(medians[name].median));
    table.push([formatAttackSpec(spec), view.label(model), `${found} of ${attacked}`, text('l2'), text('linf'), text('l1'), text('l0')]);
  }
  return `${table.toString()}\nmedians over the images that are correct without an attack; where none was found, infinitely far`;
}

function distanceText(distance: number): string {
  return Number.isFinite(distance) ? String(Number(distance.toPrecision(3))) : '∞';
}

/** Only differences that the choice of images doesn't explain. */
function pairLines(view: EvaluationView): string {
  const tests = pairTests(view);
  if (tests.length === 0) return '';
  const clear = tests.filter(({ adjusted }) => adjusted < 0.05);
  const lines = clear.map(({ norm, eps, first, second, onlyFirst, onlySecond, adjusted }) => {
    const [better, worse] = onlyFirst > onlySecond ? [first, second] : [second, first];
    const where = norm === undefined ? 'clean' : `worst case at ${radius(norm, eps)}`;
    const counts = `${Math.max(onlyFirst, onlySecond)} images against ${Math.min(onlyFirst, onlySecond)}`;
    return `  ${where}: ${view.label(better)} is better than ${view.label(worse)} (${counts}, p = ${adjusted.toPrecision(2)})`;
  });
  return [
    `${clear.length} of ${tests.length} differences between networks are clear (McNemar, exact, Holm-adjusted p < 0.05)`,
    ...lines,
  ].join('\n');
}

function newTable(head: readonly string[]): InstanceType<typeof Table> {
  return new Table({
    head: [...head],
    colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
    style: { head: [], border: [] },
  });
}
