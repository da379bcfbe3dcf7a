/** @file The report of an evaluation: one self-contained HTML document without scripts. */
import type { EvaluationRecord } from '../../config/index.ts';
import { PACKAGE_VERSION } from '../../core/index.ts';
import { type Html, html, raw } from '../html.ts';
import { PAGE_STYLE } from '../page-style.ts';
import { findRedFlags, uncheckedRules } from '../red-flags/find-red-flags.ts';
import { passesDone } from './completeness.ts';
import { diagnosticsSection } from './diagnostics-section.ts';
import { EvaluationView } from './evaluation-view.ts';
import { networkSection, parameterSection } from './parameter-sections.ts';
import { attackSection, minimumNormSection, pairSection, transferSection, worstCaseSection } from './result-sections.ts';

/** Renders the page; a record of an evaluation still running gives what there is and says what is missing. */
export function evaluationPage(record: EvaluationRecord): string {
  const view = new EvaluationView(record);
  const title = `Robustness of ${record.models.map(({ label }) => label).join(', ')} on ${record.dataset}`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="deepdefense ${PACKAGE_VERSION}">
<title>${title}</title>
<style>${raw(PAGE_STYLE)}</style>
</head>
<body><main>
<h1>${title}</h1>
<p class="lead">${counted(record.models.length, 'network')}, ${counted(record.attacks.length, 'attack')}, ${counted(view.count, 'test image')}, the same for all. Accuracies are shares of all these images, correct before and after the attack.</p>
${cautions(view)}
<h2>Red flags</h2>
${flagList(view)}
${worstCaseSection(view)}
${attackSection(view)}
${minimumNormSection(view)}
${pairSection(view)}
${transferSection(view)}
${networkSection(view)}
${diagnosticsSection(view)}
${parameterSection(view)}
<footer>Written by deepdefense ${PACKAGE_VERSION}. Drawings are inline SVG; the page loads nothing and runs no script.</footer>
</main></body>
</html>
`;
  return page.html;
}

/** `1 network`, `2 networks`. */
function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** What limits every figure of the page. */
function cautions(view: EvaluationView): Html {
  const { done, all } = passesDone(view);
  const notes = [
    ...(done < all
      ? [`This evaluation isn't complete: ${done} of ${all} passes (network, attack, radius) are done. Worst cases can still fall.`]
      : []),
    ...(view.record.onlyCorrectByAll
      ? [
          "Only images that all networks classify correctly were attacked. Accuracies start at 100 % and say nothing about clean errors; they can't be compared with those of other evaluations.",
        ]
      : []),
    ...(/synthetic/i.test(view.record.dataset)
      ? ['The synthetic set is drawn by a program. Its accuracies say nothing about CIFAR-10.']
      : []),
  ];
  return notes.length === 0 ? raw('') : html`<ul class="findings">${notes.map((note) => html`<li>${note}</li>`)}</ul>`;
}

function flagList(view: EvaluationView): Html {
  const [raised, unchecked] = [findRedFlags(view), uncheckedRules(view)];
  const ids = [...new Set(raised.map(({ rule }) => rule.id))];
  const lead =
    raised.length === 0
      ? html`<p>None was raised.</p>`
      : html`<p><strong>${raised.length} raised</strong> (${ids.join(', ')}). A flag is a figure that an honestly robust network doesn't produce: find out why before you believe the accuracies. docs/red-flags.md says what each means and what to do.</p>`;
  const items = raised.map(({ rule, model, evidence }) => {
    const kind = rule.severity === 'alarm' ? html`<li class="alarm"><strong>Alarm.</strong> ` : html`<li><strong>Warning.</strong> `;
    const sentences = evidence.map((sentence) => html`<span class="detail">${sentence}</span>`);
    return html`${kind}${view.label(model)}: ${rule.title} <code>${rule.id}</code>${sentences}<span class="detail">Raised when ${rule.threshold}.</span></li>`;
  });
  const skipped = unchecked.map(
    ({ rule, models }) =>
      html`<li><code>${rule.id}</code> ${rule.title}: ${models.length === view.record.models.length ? 'all networks' : models.map((model) => view.label(model)).join(', ')}</li>`,
  );
  const missing =
    skipped.length === 0
      ? raw('')
      : html`<details><summary>${counted(skipped.length, 'kind')} of flag could not be checked: what it looks at wasn't measured</summary><ul>${skipped}</ul></details>`;
  return html`${lead}<ul class="findings">${items}</ul>${missing}`;
}
