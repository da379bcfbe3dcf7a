/** @file Tail of the binomial distribution, on which exact tests and intervals rest. */

/**
 * P(X <= k) for X binomial with `count` trials of probability 1/2; 0 for k < 0, 1 for k >= count. Terms are summed from their logarithms,
 * so that thousands of trials neither overflow nor vanish.
 */
export function fairBinomialTail(k: number, count: number): number {
  if (k < 0) return 0;
  if (k >= count) return 1;
  let logTerm = -count * Math.LN2;
  let sum = Math.exp(logTerm);
  for (let i = 1; i <= k; i++) {
    logTerm += Math.log((count - i + 1) / i);
    sum += Math.exp(logTerm);
  }
  return Math.min(1, sum);
}
