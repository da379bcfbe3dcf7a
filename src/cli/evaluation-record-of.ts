/** @file The content of evaluation.json, from what was asked and what was found. */
import { cpus, totalmem } from 'node:os';
import { type AttackSpec, describeAttack, type Norm } from '../config/index.ts';
import type { EvaluationOutcome, FinishedPass } from '../coordinator/index.ts';
import { PACKAGE_VERSION } from '../core/index.ts';
import type { Dataset } from '../data/index.ts';
import type { AttackResult, Distances, EvaluatedModel, EvaluationRecord, MaskingDiagnostics, TransferResult } from '../evaluation/index.ts';

export interface RecordSource {
  readonly command: string;
  readonly seed: number;
  readonly dataset: Dataset;
  readonly onlyCorrectByAll: boolean;
  readonly models: readonly EvaluatedModel[];
  readonly attacks: readonly AttackSpec[];
  readonly radii: Readonly<Partial<Record<Norm, readonly number[]>>>;
  readonly outcome: EvaluationOutcome;
}

/** Puts the record together. A radius of 0 holds nothing but the image, so its results are those without an attack. */
export function evaluationRecordOf(source: RecordSource): EvaluationRecord {
  const { command, seed, dataset, onlyCorrectByAll, models, attacks, radii, outcome } = source;
  const { images, passes, diagnoses, engineFingerprint, workers, seconds } = outcome;
  const results = passes.map(resultOf);
  const clean = results.filter(({ attack }) => attack === -1);
  const atZero = attacks.flatMap((spec, attack) =>
    describeAttack(spec.name).kind === 'bounded' && radii[spec.norm]?.includes(0) === true
      ? clean.map((result): AttackResult => ({ ...result, attack, eps: 0, queries: { forward: 0, gradient: 0 }, seconds: 0 }))
      : [],
  );
  return {
    format: 'deepdefense-evaluation/1',
    createdAt: new Date().toISOString(),
    command,
    packageVersion: PACKAGE_VERSION,
    engine: engineFingerprint,
    hardware: describeHardware(),
    workers,
    seed,
    dataset: dataset.name,
    datasetHash: dataset.contentHash,
    images: { index: images, label: images.map((index) => dataset.test.labels[index] as number) },
    onlyCorrectByAll,
    models,
    attacks,
    eps: radii,
    results: [...results, ...atZero].sort((a, b) => a.attack - b.attack || a.model - b.model || (a.eps ?? 0) - (b.eps ?? 0)),
    transfer: passes.flatMap(transfersOf),
    diagnostics: diagnoses.map(({ network, json }) => ({ model: network, ...(JSON.parse(json) as Omit<MaskingDiagnostics, 'model'>) })),
    wallSeconds: seconds,
  };
}

function resultOf({ network, attack, eps, correct, distances, queries, seconds }: FinishedPass): AttackResult {
  return { model: network, attack, eps, correct, ...(distances !== undefined && { distances: columnsOf(distances) }), queries, seconds };
}

const COLUMNS = ['linf', 'l2', 'l1', 'mse', 'l0'] as const;

function columnsOf(distances: readonly (readonly number[] | null)[]): Distances {
  const column = (index: number) => distances.map((own) => own?.[index] ?? null);
  return Object.fromEntries(COLUMNS.map((name, index) => [name, column(index)])) as unknown as Distances;
}

function transfersOf({ network, attack, eps, targets, targetCorrect }: FinishedPass): TransferResult[] {
  return targets.map((target, index) => ({ source: network, target, attack, eps: eps ?? 0, correct: targetCorrect[index] ?? '' }));
}

/** Of the coordinator's machine; workers elsewhere may have another one, but the same engine. */
function describeHardware(): string {
  const processors = cpus();
  return `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}
