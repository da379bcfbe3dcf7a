export { evaluationCsv } from './evaluation/evaluation-csv.ts';
export { evaluationSummary } from './evaluation/evaluation-summary.ts';
export { writeEvaluationReport } from './evaluation/write-evaluation-report.ts';
export { htmlReport } from './html-report.ts';
export { readRun, readRuns } from './read-run.ts';
export { type EvaluationRecord, type RunRecord, type RunState, type StepRecord } from './run-record.ts';
export { formatTable } from './terminal-table.ts';
export { type Interval, wilsonInterval } from './wilson.ts';
export { writeReport } from './write-report.ts';
