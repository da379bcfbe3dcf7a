/** @file Observations from best to worst, for samplers that learn from their order. */
import { crowdingDistances, firstFronts, largestHypervolume, type Losses } from '../dominance.ts';
import { type Ranked, rankCandidates } from '../ranking.ts';
import type { Observation } from '../sampler.ts';

/**
 * Higher rungs first, because candidates get there by being better than others; inside a rung by losses, failed ones last. Losses of
 * different rungs are not compared: they differ by training time and attack.
 */
export function fromBestToWorst(observations: readonly Observation[]): readonly Observation[] {
  const byCandidate = new Map(observations.map((observation) => [observation.candidate, observation]));
  const failed: Observation[] = [];
  const measured = rungsOf(observations).flatMap((rung) =>
    rankCandidates(observations.filter((each) => each.rung === rung)).flatMap(({ candidate, losses }: Ranked) => {
      const observation = byCandidate.get(candidate) as Observation;
      if (losses !== undefined) return [observation];
      failed.push(observation);
      return [];
    }),
  );
  return [...measured, ...failed];
}

/**
 * The first `count` of {@link fromBestToWorst}, without ordering the rest: 10 000 observations take a few milliseconds.
 * @param lastFront how members of the Pareto front that doesn't fit as a whole are chosen, where there are several objectives
 */
export function bestOf(
  observations: readonly Observation[],
  count: number,
  lastFront: 'crowding' | 'hypervolume' = 'crowding',
): readonly Observation[] {
  const best: Observation[] = [];
  const measured = observations.filter(({ losses }) => losses !== undefined);
  for (const rung of rungsOf(measured)) {
    if (best.length >= count) break;
    const members = measured.filter((each) => each.rung === rung);
    const isSingle = members.every(({ losses }) => losses?.length === 1);
    best.push(...(isSingle ? smallest(members, count - best.length) : leastDominated(members, count - best.length, lastFront)));
  }
  if (best.length >= count) return best;
  const failed = observations.filter(({ losses }) => losses === undefined);
  return [...best, ...fromBestToWorst(failed).slice(0, count - best.length)];
}

function rungsOf(observations: readonly Observation[]): readonly number[] {
  return [...new Set(observations.map(({ rung }) => rung))].sort((a, b) => b - a);
}

function smallest(members: readonly Observation[], count: number): readonly Observation[] {
  const best: Observation[] = [];
  for (const member of members) {
    if (best.length === count && !isBefore(member, best[count - 1] as Observation)) continue;
    let place = best.length;
    while (place > 0 && isBefore(member, best[place - 1] as Observation)) place -= 1;
    best.splice(place, 0, member);
    if (best.length > count) best.pop();
  }
  return best;
}

function isBefore(a: Observation, b: Observation): boolean {
  const [left, right] = [a.losses?.[0] as number, b.losses?.[0] as number];
  return left < right || (left === right && a.candidate < b.candidate);
}

function leastDominated(members: readonly Observation[], count: number, lastFront: 'crowding' | 'hypervolume'): readonly Observation[] {
  const lossesOf = (i: number): Losses => members[i]?.losses as Losses;
  const chosen: number[] = [];
  for (const front of firstFronts(
    members.map((_, i) => lossesOf(i)),
    count,
  )) {
    const losses = front.map(lossesOf);
    const left = count - chosen.length;
    if (left < front.length && lastFront === 'hypervolume') chosen.push(...largestHypervolume(losses, left).map((k) => front[k] as number));
    else {
      const distances = crowdingDistances(losses);
      const byDistance = front.map((i, k) => ({ i, distance: distances[k] as number }));
      const candidateOf = (i: number) => members[i]?.candidate as number;
      byDistance.sort((a, b) => (a.distance === b.distance ? candidateOf(a.i) - candidateOf(b.i) : b.distance - a.distance));
      chosen.push(...byDistance.slice(0, left).map(({ i }) => i));
    }
  }
  return chosen.map((i) => members[i] as Observation);
}
