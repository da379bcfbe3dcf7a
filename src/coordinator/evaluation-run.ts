/** @file The course of an evaluation: which images and which units, in what order, and what their results add up to. */
import { DeepDefenseError, sha256 } from '../core/index.ts';
import type { EvaluationUnit } from './attack-queue.ts';
import { type AttackPass, attackPassesOf, cleanPasses, cutIntoUnits } from './attack-units.ts';
import type { EvaluationEvent, EvaluationOutcome, FinishedPass } from './evaluation-events.ts';
import type { FinishedDiagnosis, FinishedUnit } from './evaluation-file.ts';
import type { EvaluationQuestion } from './evaluation-question.ts';
import { costOf, type FinishedUnits, totalCost } from './finished-units.ts';

export type OnFinished = (unit: EvaluationUnit, finished: FinishedUnit | FinishedDiagnosis) => void;

export interface EvaluationTools {
  readonly tell: (event: EvaluationEvent) => void;
  /** Has the units computed; may return with some of them open when a stop was asked for. */
  run(units: readonly EvaluationUnit[], onFinished: OnFinished): Promise<void>;
}

/** The passes of one evaluation, some of them finished before. */
export class Evaluation {
  readonly #question: EvaluationQuestion;
  readonly #finished: FinishedUnits;
  readonly #tools: EvaluationTools;

  constructor(question: EvaluationQuestion, finished: FinishedUnits, tools: EvaluationTools) {
    this.#question = question;
    this.#finished = finished;
    this.#tools = tools;
  }

  async run(): Promise<Pick<EvaluationOutcome, 'state' | 'images' | 'passes' | 'diagnoses'>> {
    const { networks, attacks, radii, transfer, onlyCorrectByAll } = this.#question;
    const clean = cleanPasses(networks.length);
    let { images } = this.#question;
    if (onlyCorrectByAll) {
      const passes = await this.#complete(clean, images, []);
      if (passes.length < clean.length) return { state: 'stopped', images, passes, diagnoses: [] };
      images = images.filter((_, row) => passes.every(({ correct }) => correct[row] === '1'));
      if (images.length === 0)
        throw new DeepDefenseError('USAGE', {
          what: 'no image is classified correctly by all networks, so there is nothing to attack',
          todo: 'leave --only-correct-by-all out, or leave out the network that is wrong everywhere',
        });
    }
    const diagnosed = this.#question.diagnosed === 0 ? [] : networks.map((_, network) => this.#diagnosis(network, images));
    const passes = [...clean, ...attackPassesOf({ networks: networks.length, attacks, radii, transfer })];
    const complete = await this.#complete(passes, images, diagnosed);
    const diagnoses = diagnosed.flatMap((unit) => {
      const found = this.#finished.diagnosis(unit);
      return found === undefined ? [] : [{ network: unit.network, json: found.json }];
    });
    const isComplete = complete.length === passes.length && diagnoses.length === diagnosed.length;
    return { state: isComplete ? 'completed' : 'stopped', images, passes: inOrder(complete), diagnoses };
  }

  #diagnosis(network: number, images: readonly number[]): Extract<EvaluationUnit, { kind: 'diagnosis' }> {
    const here = images.slice(0, this.#question.diagnosed);
    return { kind: 'diagnosis', network, images: here, key: sha256(JSON.stringify(['diagnosis', network, here])).slice(0, 32) };
  }

  /** Computes what is open. Returns the passes that are complete then. */
  async #complete(
    passes: readonly AttackPass[],
    images: readonly number[],
    diagnosed: readonly Extract<EvaluationUnit, { kind: 'diagnosis' }>[],
  ): Promise<FinishedPass[]> {
    const { tell, run } = this.#tools;
    const { attacks, batchSize } = this.#question;
    const cut = passes.map((pass, position) => ({
      pass,
      units: cutIntoUnits(pass, { attacks, images, batchSize, isLast: position === passes.length - 1 }),
    }));
    const attackUnits = cut.flatMap(({ units }) => units.map((unit): EvaluationUnit => ({ ...unit, kind: 'attack' })));
    const cleanUnits = attackUnits.filter((unit) => unit.kind === 'attack' && unit.attack < 0);
    const units = [...cleanUnits, ...diagnosed, ...attackUnits.slice(cleanUnits.length)];
    const open = units.filter((unit) => !this.#finished.has(unit));
    const total = totalCost(units);
    const shareBefore = (total - totalCost(open)) / total;
    tell({ kind: 'started', finishedBefore: units.length - open.length, units: units.length, images: images.length });
    let cost = 0;
    let attacked = 0;
    let finishedNow = 0;
    const told = new Set<AttackPass>();
    const tellPasses = () => {
      for (const { pass, units: own } of cut) {
        if (told.has(pass)) continue;
        const found = this.#finished.assemble(pass, own);
        if (found === undefined) continue;
        told.add(pass);
        tell({ kind: 'pass', pass, accuracy: accuracyOf(found.correct), images: images.length });
      }
    };
    if (open.length > 0)
      await run(open, (unit, finished) => {
        this.#finished.add(finished);
        cost += costOf(unit);
        attacked += unit.images.length;
        finishedNow += 1;
        const share = shareBefore + cost / total;
        const done = units.length - open.length + finishedNow;
        tell({ kind: 'progress', finished: done, units: units.length, share, shareBefore, images: attacked });
        tellPasses();
      });
    return cut.flatMap(({ pass, units: own }) => this.#finished.assemble(pass, own) ?? []);
  }
}

function inOrder(passes: readonly FinishedPass[]): FinishedPass[] {
  return passes.toSorted((a, b) => a.attack - b.attack || a.network - b.network || (a.eps ?? 0) - (b.eps ?? 0));
}

function accuracyOf(correct: string): number {
  return correct.replaceAll('0', '').length / correct.length;
}
