/** @file Observations from best to worst, for samplers that learn from their order. */
import { type Ranked, rankCandidates } from '../ranking.ts';
import type { Observation } from '../sampler.ts';

/**
 * Higher rungs first, because candidates get there by being better than others; inside a rung by losses, failed ones last. Losses of
 * different rungs are not compared: they differ by training time and attack.
 */
export function fromBestToWorst(observations: readonly Observation[]): readonly Observation[] {
  const byCandidate = new Map(observations.map((observation) => [observation.candidate, observation]));
  const rungs = [...new Set(observations.map(({ rung }) => rung))].sort((a, b) => b - a);
  const failed: Observation[] = [];
  const measured = rungs.flatMap((rung) =>
    rankCandidates(observations.filter((each) => each.rung === rung)).flatMap(({ candidate, losses }: Ranked) => {
      const observation = byCandidate.get(candidate) as Observation;
      if (losses !== undefined) return [observation];
      failed.push(observation);
      return [];
    }),
  );
  return [...measured, ...failed];
}
