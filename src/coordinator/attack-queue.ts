/** @file Units of an evaluation as a job of the worker pool: idle workers take one at a time, and a dead worker's unit goes back. */
import { coordinatorMessage, type ShardBlock, type WorkerBodies } from '../wire/index.ts';
import type { AttackUnit } from './attack-units.ts';
import { DrainingLeases } from './draining-leases.ts';
import type { FinishedDiagnosis, FinishedUnit } from './evaluation-file.ts';
import { type Answer, badAnswer, type Job, type TaskPlan } from './job.ts';
import type { Grant } from './leases.ts';

/** Measurements on one network. */
export interface DiagnosisUnit {
  readonly network: number;
  /** Indices into the test set. */
  readonly images: readonly number[];
  /** As AttackUnit.key. */
  readonly key: string;
}

export type EvaluationUnit = ({ readonly kind: 'attack' } & AttackUnit) | ({ readonly kind: 'diagnosis' } & DiagnosisUnit);

export interface AttackQueueOptions {
  /** In the order in which they are leased; at least one. */
  readonly units: readonly EvaluationUnit[];
  /** Called with each valid answer. */
  readonly onFinished: (unit: EvaluationUnit, finished: FinishedUnit | FinishedDiagnosis) => void;
}

/** Values per image in AttackOutcome.distances. */
const DISTANCES = 5;

/** See the file's header. */
export class AttackQueue implements Job {
  readonly kind = 'evaluate';
  readonly unitsPerWorker = 1;
  readonly minWorkers = 1;
  /** A unit takes longer than a training step. */
  readonly deadlineFactor = 5;
  readonly leases: DrainingLeases;
  readonly #options: AttackQueueOptions;

  constructor(options: AttackQueueOptions) {
    this.#options = options;
    this.leases = new DrainingLeases(options.units.length);
  }

  plan(grant: Grant, nextTaskId: () => number): TaskPlan[] {
    const positions = grant.ranges.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i));
    return positions.map((position) => {
      const taskId = nextTaskId();
      const unit = this.#unit(position);
      const { network } = unit;
      const images = [...unit.images];
      const message =
        unit.kind === 'diagnosis'
          ? coordinatorMessage('diagnosisTask', { taskId, network, images })
          : coordinatorMessage('attackTask', {
              taskId,
              network,
              attack: unit.text,
              eps: unit.eps ?? 0,
              images,
              targets: [...unit.targets],
            });
      return { taskId, message, parts: [{ first: position, count: 1 }] };
    });
  }

  locate(answer: Answer, parts: readonly ShardBlock[], taskEpoch: number): { range: ShardBlock; epoch: number } {
    const [part] = parts;
    if (part === undefined || answer.kind !== this.#unit(part.first).kind)
      throw badAnswer('the result of an attack or a diagnosis', answer.kind);
    return { range: part, epoch: taskEpoch };
  }

  accept(range: ShardBlock, answer: Answer): void {
    const unit = this.#unit(range.first);
    if (unit.kind === 'attack' && answer.kind === 'attack') this.#options.onFinished(unit, finishedUnit(unit, answer.message));
    else if (unit.kind === 'diagnosis' && answer.kind === 'diagnosis') {
      const { json, computeMs } = answer.message;
      this.#options.onFinished(unit, { kind: 'diagnosis', key: unit.key, json: checkedJson(json), computeMs });
    } else throw badAnswer(`the result of a unit of kind ${unit.kind}`, answer.kind);
  }

  #unit(position: number): EvaluationUnit {
    return this.#options.units[position] as EvaluationUnit;
  }
}

/** @throws DeepDefenseError PROTOCOL_BAD_MESSAGE when the answer has another form than the unit asks for. */
function finishedUnit({ key, images, targets }: AttackUnit, outcome: WorkerBodies['attackOutcome']): FinishedUnit {
  const { correct, targetCorrect, distances, forwardQueries, gradientQueries, computeMs } = outcome;
  const count = images.length;
  if (correct.length !== count) throw badAnswer(`${count} results`, String(correct.length));
  if (targetCorrect.length !== count * targets.length)
    throw badAnswer(`${count * targets.length} results of targets`, String(targetCorrect.length));
  if (![...correct, ...targetCorrect].every((value) => value <= 1)) throw badAnswer('results 0 or 1', 'another value');
  if (distances.length !== 0 && distances.length !== count * DISTANCES)
    throw badAnswer(`no distances or ${count * DISTANCES}`, String(distances.length));
  return {
    kind: 'attack',
    key,
    correct: bits(correct),
    targetCorrect: targets.map((_, position) => bits(targetCorrect.subarray(position * count, (position + 1) * count))),
    ...(distances.length > 0 && {
      distances: images.map((_, row) => {
        const own = distances.slice(row * DISTANCES, (row + 1) * DISTANCES);
        return own.every(Number.isFinite) ? own : null;
      }),
    }),
    queries: { forward: forwardQueries, gradient: gradientQueries },
    computeMs,
  };
}

function bits(values: Uint8Array): string {
  return values.reduce((text, value) => text + String(value), '');
}

function checkedJson(json: string): string {
  try {
    JSON.parse(json);
    return json;
  } catch {
    throw badAnswer('measurements as JSON', `"${json.slice(0, 40)}"`);
  }
}
