/** @file The attacks that bench/attacks.ts times, by the names that both sides know. */

export const ATTACK_CASES = {
  fgsm: 'fgsm',
  'pgd-20': 'pgd:steps=20',
  'apgd-20': 'apgd:steps=20',
  'apgd-t-20': 'apgd-t:steps=20',
  'square-500': 'square:queries=500',
  deepfool: 'deepfool',
  'cw-50': 'cw:searchSteps=1:c=1:steps=50',
} as const satisfies Readonly<Record<string, string>>;

export type AttackCase = keyof typeof ATTACK_CASES;
export const ATTACK_CASE_NAMES = Object.keys(ATTACK_CASES) as AttackCase[];

/** Images that go to an attack of the peer in one call; ours takes all and cuts them itself. */
export const BATCH_SIZE = 128;
