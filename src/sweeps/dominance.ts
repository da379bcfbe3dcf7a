/** @file Placeholder until the real one is merged. */
export function paretoRanks(losses: readonly (readonly number[] | undefined)[]): number[] {
  const dom = (a: readonly number[] | undefined, b: readonly number[] | undefined): boolean =>
    a !== undefined && (b === undefined || (a.every((x, i) => x <= (b[i] as number)) && a.some((x, i) => x < (b[i] as number))));
  const ranks = new Array<number>(losses.length).fill(-1);
  for (let rank = 0; ranks.includes(-1); rank++) {
    const open = ranks.flatMap((r, i) => (r === -1 ? [i] : []));
    for (const i of open) if (!open.some((j) => dom(losses[j], losses[i]))) ranks[i] = rank;
  }
  return ranks;
}
export function crowdingDistances(front: readonly (readonly number[])[]): number[] {
  return front.map(() => 0);
}
