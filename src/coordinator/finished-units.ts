/** @file The finished and open units of an evaluation. */
import type { AttackPass, AttackUnit } from './attack-units.ts';
import type { DiagnosisUnit, EvaluationUnit } from './attack-queue.ts';
import type { EvaluationLine, FinishedDiagnosis, FinishedUnit } from './evaluation-file.ts';
import type { FinishedPass } from './evaluation-events.ts';

/** A diagnosis takes about so many passes per image. */
const DIAGNOSIS_PASSES = 60;

/** Results by the key of their unit. */
export class FinishedUnits {
  readonly #attacks = new Map<string, FinishedUnit>();
  readonly #diagnoses = new Map<string, FinishedDiagnosis>();

  constructor(lines: readonly EvaluationLine[]) {
    for (const line of lines) if (line.kind !== 'engine') this.add(line);
  }

  add(finished: FinishedUnit | FinishedDiagnosis): void {
    if (finished.kind === 'attack') this.#attacks.set(finished.key, finished);
    else this.#diagnoses.set(finished.key, finished);
  }

  has({ kind, key }: EvaluationUnit): boolean {
    return (kind === 'attack' ? this.#attacks : this.#diagnoses).has(key);
  }

  diagnosis({ key }: DiagnosisUnit): FinishedDiagnosis | undefined {
    return this.#diagnoses.get(key);
  }

  /** The pass of these units put together in the order of its images; undefined while one is open. */
  assemble(pass: AttackPass, units: readonly AttackUnit[]): FinishedPass | undefined {
    const parts = units.map(({ key }) => this.#attacks.get(key)).filter((part) => part !== undefined);
    if (parts.length < units.length) return undefined;
    const sum = (value: (part: FinishedUnit) => number) => parts.reduce((total, part) => total + value(part), 0);
    const measured = parts.every(({ distances }) => distances !== undefined);
    return {
      ...pass,
      correct: parts.map(({ correct }) => correct).join(''),
      targetCorrect: pass.targets.map((_, target) => parts.map(({ targetCorrect }) => targetCorrect[target] ?? '').join('')),
      ...(measured && { distances: parts.flatMap(({ distances = [] }) => distances) }),
      queries: { forward: sum(({ queries }) => queries.forward), gradient: sum(({ queries }) => queries.gradient) },
      seconds: sum(({ computeMs }) => computeMs) / 1000,
    };
  }
}

/** Passes through a network that a unit takes, by estimate. */
export function costOf(unit: EvaluationUnit): number {
  return unit.images.length * (unit.kind === 'attack' ? unit.passesPerImage + 2 * unit.targets.length : DIAGNOSIS_PASSES);
}

export function totalCost(units: readonly EvaluationUnit[]): number {
  return units.reduce((sum, unit) => sum + costOf(unit), 0);
}
