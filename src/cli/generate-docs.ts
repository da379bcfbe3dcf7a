/** @file Writes the generated pages of docs/; with `--check` it only says which are out of date (exit code 1), for CI. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { configDocs, sweepConfigDocs } from '../config/index.ts';
import { writeFileAtomic } from '../core/index.ts';
import { metricsDocs } from '../telemetry/index.ts';
import { exitCodeDocs } from './exit-code-docs.ts';

const PAGES: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': configDocs,
  'docs/exit-codes.md': exitCodeDocs,
  'docs/metrics.md': metricsDocs,
  'docs/sweep-configuration.md': sweepConfigDocs,
};

const check = process.argv.includes('--check');
for (const [path, generate] of Object.entries(PAGES)) {
  const file = fileURLToPath(new URL(`../../${path}`, import.meta.url));
  const current = await readFile(file, 'utf8').catch(() => undefined);
  const text = generate();
  if (current === text) process.stdout.write(`${path}: up to date\n`);
  else if (check) {
    process.stderr.write(`${path}: out of date, run \`npm run docs\`\n`);
    process.exitCode = 1;
  } else {
    await writeFileAtomic(file, text);
    process.stdout.write(`${path}: written\n`);
  }
}
