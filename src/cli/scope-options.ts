/** @file `--run` and `--sweep` of certificates and tokens that are for one of them alone. */
import type { Command } from 'commander';
import { DeepDefenseError } from '../core/index.ts';
import type { Scope } from '../security/index.ts';

export interface ScopeOptions {
  readonly run?: string;
  readonly sweep?: string;
}

export function addScopeOptions(command: Command): Command {
  return command.option('--run <id>', 'for this run or evaluation alone').option('--sweep <id>', 'for this sweep alone');
}

/** @throws DeepDefenseError USAGE when both are given */
export function scopeOf({ run, sweep }: ScopeOptions): Scope | undefined {
  if (run !== undefined && sweep !== undefined)
    throw new DeepDefenseError('USAGE', { what: 'a certificate or token is for one run or one sweep', expected: '--run or --sweep' });
  if (run !== undefined) return { kind: 'run', id: run };
  return sweep === undefined ? undefined : { kind: 'sweep', id: sweep };
}
