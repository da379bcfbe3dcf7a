/** @file What limits the figures of a sweep, as sentences: on the page and in the terminal. */
import type { SweepRecord } from '../../sweeps/index.ts';
import { formatPercent } from '../format.ts';
import { wilsonInterval } from '../wilson.ts';
import { finalResult } from './candidate-result.ts';
import type { ParetoFront } from './pareto-front.ts';

export interface SweepWarning {
  readonly level: 'alarm' | 'note';
  readonly text: string;
}

/** Alarms first. */
export function sweepWarnings(record: SweepRecord, front: ParetoFront | undefined): readonly SweepWarning[] {
  return [...alarms(record, front), ...notes(record, front)];
}

function alarms({ rungs }: SweepRecord, front: ParetoFront | undefined): SweepWarning[] {
  const flagged = (front?.front ?? []).filter(({ flags }) => flags.length > 0).map(({ candidate }) => candidate.candidate);
  const alarms: SweepWarning[] = [];
  if (flagged.length > 0)
    alarms.push({
      level: 'alarm',
      text: `Signs of masked gradients on the Pareto front: ${candidatesText(flagged)}. Their robust accuracy may be an artefact of the attacks; evaluate them before you believe it.`,
    });
  if (front !== undefined && front.rung < rungs.length - 1)
    alarms.push({
      level: 'alarm',
      text: `No candidate is complete on the last rung (${rungs.length - 1}); the front is that of rung ${front.rung}, after fewer epochs or under weaker attacks.`,
    });
  return alarms;
}

function notes(record: SweepRecord, front: ParetoFront | undefined): SweepWarning[] {
  const { candidates, state, seeds, mode, dataset, engines } = record;
  const failed = candidates.filter((candidate) => candidate.state === 'failed').map(({ candidate }) => candidate);
  const partial = candidates.flatMap((candidate) => {
    const result = finalResult(record, candidate);
    return result !== undefined && candidate.state !== 'failed' && result.seeds < result.allSeeds ? [candidate.candidate] : [];
  });
  const flagged = candidates.filter(({ measurements }) => measurements.some(({ flags }) => flags.length > 0)).length;
  const texts = [
    state === 'completed' ? '' : `The sweep is ${state}: what is shown can still change.`,
    front === undefined ? 'No candidate has results of all seeds on any rung; there is no front yet.' : '',
    seeds.length === 1
      ? `Every candidate was trained with one seed (n = 1): there are no intervals, and no difference between candidates can be told from what another seed would change.`
      : '',
    seeds.length > 1 && seeds.length < 6
      ? `With ${seeds.length} seeds no paired test can reach p < 0.05 (6 are the fewest); t intervals rest on ${seeds.length} values and on their being normal.`
      : '',
    imageText(record, front),
    (front?.compared.length ?? 0) > 1
      ? `The front was chosen among ${candidates.length} candidates (${front?.compared.length} on its rung) by the figures shown, so these flatter it; confirm it with seeds and images that chose nothing.`
      : '',
    failed.length > 0
      ? `${counted(failed.length, 'candidate')} of ${candidates.length} failed: ${candidatesText(failed)}. They are compared only on rungs where all their seeds were measured.`
      : '',
    partial.length > 0 ? `Seeds are missing of ${candidatesText(partial)}; they aren't compared with the others.` : '',
    flagged > 0 ? `${counted(flagged, 'candidate')} of ${candidates.length} showed signs of masked gradients.` : '',
    candidates.some(({ parent }) => parent !== undefined)
      ? "Forks were trained with their ancestors' parameters up to the rung that they begin on: their figures are those of the whole schedule, not of their own parameters alone."
      : '',
    mode === 'throughput'
      ? 'In throughput mode decisions depend on which worker was faster; another run of the sweep can choose other candidates.'
      : '',
    /synthetic/i.test(dataset) ? 'The synthetic set is drawn by a program. Its accuracies say nothing about CIFAR-10.' : '',
    engines.length > 1 ? `${engines.length} kinds of engine took part; their results may differ in the last bits.` : '',
  ];
  return texts.filter((text) => text !== '').map((text) => ({ level: 'note', text }));
}

/** Intervals over seeds say nothing about the images, which are the same for all seeds and candidates. */
function imageText({ objectives, rungs, dataset }: SweepRecord, front: ParetoFront | undefined): string {
  const images = front === undefined ? undefined : rungs[front.rung]?.robustSamples;
  if (images === undefined || dataset === '' || !objectives.some(({ name }) => name.startsWith('robust-accuracy'))) return '';
  const { low, high } = wilsonInterval(images / 2, images);
  const points = formatPercent((high - low) / 2);
  return `Robust accuracies are of the same ${images} images for every seed and candidate: intervals over seeds don't contain the choice of images, which is worth up to ±${points} points (Wilson, 95 %) against all test images, though less between candidates.`;
}

/** `1 candidate`, `2 candidates`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Candidates are named by number; more than this many aren't all listed. */
const MOST_NAMED = 12;

function candidatesText(numbers: readonly number[]): string {
  const named = numbers.slice(0, MOST_NAMED).map((number) => `#${number}`);
  const more = numbers.length > MOST_NAMED ? ` and ${numbers.length - MOST_NAMED} more` : '';
  return `${numbers.length === 1 ? 'candidate' : 'candidates'} ${named.join(', ')}${more}`;
}
