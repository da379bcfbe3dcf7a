/** @file The report of a sweep: one self-contained HTML document without scripts. */
import { PACKAGE_VERSION } from '../../core/index.ts';
import { type Html, html, raw } from '../html.ts';
import { PAGE_STYLE } from '../page-style.ts';
import { candidateSection, problemSection } from './candidate-section.ts';
import { groupSection, pairedSection } from './comparison-sections.ts';
import { frontSection } from './front-section.ts';
import { sensitivitySection } from './sensitivity-section.ts';
import { setupSection, stateCounts, summarySection, workerHours } from './setup-section.ts';
import type { SweepAnalysis } from './sweep-analysis.ts';
import { counted } from './sweep-warnings.ts';

/** Renders the page; a record of a sweep still running gives what there is and says so. */
export function sweepPage({ record, pareto, warnings, groups, paired }: SweepAnalysis): string {
  const title = `Sweep ${record.name}: ${record.subject}`;
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
<p class="lead">${counted(record.candidates.length, 'candidate')}, ${counted(record.seeds.length, 'seed')} each, ${counted(record.rungs.length, 'rung')}${record.dataset === '' ? '' : ` on ${record.dataset}`}. The sweep is ${record.state}; candidates: ${stateCounts(record)}. Sampler ${record.sampler}, scheduler ${record.scheduler}, ${workerHours(record)}.</p>
<h2>Before you believe it</h2>
${warningList(warnings)}
${pareto === undefined ? raw('') : frontSection(record, pareto)}
${groupSection(record, groups)}
${pairedSection(record, paired)}
${sensitivitySection(record)}
${candidateSection(record, pareto)}
${problemSection(record)}
${summarySection(record)}
${setupSection(record)}
<footer>Written by deepdefense ${PACKAGE_VERSION}. Drawings are inline SVG; the page loads nothing and runs no script.</footer>
</main></body>
</html>
`;
  return page.html;
}

function warningList(warnings: SweepAnalysis['warnings']): Html {
  if (warnings.length === 0) return html`<p>Nothing was found that limits these figures beyond their intervals.</p>`;
  const items = warnings.map(({ level, text }) =>
    level === 'alarm' ? html`<li class="alarm"><strong>Alarm.</strong> ${text}</li>` : html`<li>${text}</li>`,
  );
  return html`<ul class="findings">${items}</ul>`;
}
