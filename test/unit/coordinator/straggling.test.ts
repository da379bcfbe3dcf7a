import { describe, expect, it } from 'vitest';
import { Straggling } from '../../../src/coordinator/straggling.ts';

describe('straggling', () => {
  it('step: is the time from the median worker to the last one, by last answers', () => {
    const straggling = new Straggling();
    straggling.answered('a', 1000);
    expect(straggling.result).toBeUndefined();
    straggling.answered('b', 3500);
    expect(straggling.result).toEqual({ seconds: 1.25, worker: 'b' });
    straggling.answered('c', 9000);
    straggling.answered('a', 4000);
    expect(straggling.result).toEqual({ seconds: 5, worker: 'c' });
  });
});
