/** @file The form of a command file: a function that adds the command to the program. */
import type { Command } from 'commander';
import type { CommandContext } from './context.ts';

/** What a command's action may use. */
export interface CommandTools {
  /** Call it inside the action, when options are parsed. */
  context(): CommandContext;
  /** Sets the exit code of a command that ends without an error. */
  setExitCode(code: number): void;
}

export type CommandDefinition = (program: Command, tools: CommandTools) => void;

/** Collects a repeatable option's values. */
export function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}
