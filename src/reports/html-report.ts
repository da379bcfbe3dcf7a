/** @file The report page: one self-contained HTML document without scripts, for one or several runs. */
import { PACKAGE_VERSION } from '../core/index.ts';
import { accuracyColumns, accuracyText, columnKey } from './accuracy-cells.ts';
import { findings } from './findings.ts';
import { formatNumber, formatSeconds } from './format.ts';
import { type Html, html, raw } from './html.ts';
import { formatTime, section, swatch } from './page-parts.ts';
import { PAGE_STYLE } from './page-style.ts';
import { accuracyFigure, alignmentFigures, attackFigures, lossFigure, runTitles } from './run-charts.ts';
import type { RunRecord } from './run-record.ts';
import { yamlText } from './yaml-text.ts';

/** Renders the page. `runs` must not be empty; their order is the order of rows and colours. */
export function htmlReport(runs: readonly RunRecord[]): string {
  const titles = runTitles(runs);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="deepdefense ${PACKAGE_VERSION}">
<title>${pageTitle(runs)}</title>
<style>${raw(PAGE_STYLE)}</style>
</head>
<body><main>
${header(runs)}
<h2>Accuracy</h2>
${accuracyTable(runs, titles)}
<h2>Before you believe it</h2>
${findingList(runs)}
${section('Robustness', attackFigures(runs))}
${section('Training', [lossFigure(runs), accuracyFigure(runs)])}
${runs.map((run, index) => section(`Alignment per layer: ${titles[index]}`, alignmentFigures(run)))}
<h2>Runs</h2>
${runTable(runs, titles)}
<h2>Resolved configuration</h2>
${runs.map((run, index) => html`<details><summary>${titles[index] as string}</summary><pre>${yamlText(run.config)}</pre></details>`)}
<footer>Written by deepdefense ${PACKAGE_VERSION}. Drawings are inline SVG; the page loads nothing and runs no script.</footer>
</main></body>
</html>
`;
  return page.html;
}

function pageTitle(runs: readonly RunRecord[]): string {
  const strategies = [...new Set(runs.map((run) => run.strategy))].join(', ');
  return `${strategies} on ${[...new Set(runs.map((run) => run.dataset))].join(', ')}`;
}

function header(runs: readonly RunRecord[]): Html {
  const models = [...new Set(runs.map((run) => run.model))].join(', ');
  const started = runs.map((run) => run.startedAt).filter((time) => time !== undefined);
  const when = started.length === 0 ? '' : ` Started ${formatTime([...started].sort()[0] as string)}.`;
  return html`<h1>${pageTitle(runs)}</h1>
<p class="lead">${runs.length === 1 ? 'One run' : `${runs.length} runs`} of ${models}.${when} Accuracies are shares of test images classified correctly, after the attack where one is named.</p>`;
}

function accuracyTable(runs: readonly RunRecord[], titles: readonly string[]): Html {
  const columns = accuracyColumns(runs);
  if (columns.length === 0) return html`<p>No accuracy was measured.</p>`;
  const rows = runs.map((run, index) => {
    const cells = columns.map(({ key }) => {
      const evaluation = run.finalAccuracies.find((one) => columnKey(one) === key);
      if (evaluation === undefined) return html`<td class="number">–</td>`;
      const { value, detail } = accuracyText(evaluation);
      return html`<td class="number">${value}<span class="detail">${detail}</span></td>`;
    });
    return html`<tr><th scope="row">${swatch(index)}${titles[index] as string}</th>${cells}</tr>`;
  });
  return html`<div class="scroll"><table><thead><tr><th>Strategy</th>${columns.map(({ title }) => html`<th class="number">${title}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>
<p class="detail">Ranges are Wilson 95 % intervals; n = number of test images. ε is the L∞ radius in [0,1] pixel units.</p>`;
}

function findingList(runs: readonly RunRecord[]): Html {
  const items = findings(runs).map(({ level, text }) =>
    level === 'alarm' ? html`<li class="alarm"><strong>Alarm.</strong> ${text}</li>` : html`<li>${text}</li>`,
  );
  return html`<ul class="findings">${items}</ul>`;
}

/** Facts of a run, one row each, one column per run. */
function runTable(runs: readonly RunRecord[], titles: readonly string[]): Html {
  const facts = new Map<string, readonly Html[]>();
  const add = (name: string, valueOf: (run: RunRecord) => Html | string | undefined): void => {
    const values = runs.map(valueOf);
    if (values.every((value) => value === undefined)) return;
    facts.set(
      name,
      values.map((value) => (typeof value === 'object' ? value : html`${value ?? '–'}`)),
    );
  };
  add('Run', (run) => html`<code>${run.runId}</code>`);
  add('State', (run) => run.state);
  add('Started', (run) => (run.startedAt === undefined ? undefined : formatTime(run.startedAt)));
  add('Duration', (run) => (run.seconds === undefined ? undefined : formatSeconds(run.seconds)));
  add('Steps, epochs', (run) => `${run.steps}, ${formatNumber(run.epochs)}`);
  add('Training speed', (run) => (run.samplesPerSecond === undefined ? undefined : `${formatNumber(run.samplesPerSecond)} samples/s`));
  add('Seed', (run) => String(run.seed));
  add('Dataset', (run) => html`${run.dataset}<span class="detail"><code>${run.datasetHash.slice(0, 16)}…</code></span>`);
  add('Engine', (run) => html`<code>${run.engine}</code>`);
  for (const name of new Set(runs.flatMap((run) => Object.keys(run.environment)))) add(name, (run) => run.environment[name]);
  add('SHA-256 of the weights', (run) => (run.weightsSha256 === undefined ? undefined : html`<code>${run.weightsSha256}</code>`));
  const rows = [...facts].map(
    ([name, values]) => html`<tr><th scope="row">${name}</th>${values.map((value) => html`<td>${value}</td>`)}</tr>`,
  );
  const head = titles.map((title, index) => html`<th>${swatch(index)}${title}</th>`);
  return html`<div class="scroll"><table><thead><tr><th></th>${head}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
