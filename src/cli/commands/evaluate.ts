/** @file `evaluate`: how robust networks are, by many attacks. */
import { Option } from 'commander';
import type { CommandDefinition } from '../command-definition.ts';
import { addClusterOptions, addConfigOptions } from '../config-options.ts';
import type { EvaluateOptions } from '../evaluate-command.ts';
import { integerFrom, integerIn } from '../option-parsers.ts';

export const evaluateCommand: CommandDefinition = (program, tools) => {
  const command = program
    .command('evaluate')
    .description('attack trained networks on the same test images and compare how robust they are')
    .argument('<run-or-weights...>', 'run folders, or weights or checkpoint files (.safetensors)')
    .addOption(new Option('--suite <name>', 'attacks, radii and number of images').choices(['quick', 'standard', 'paper']).default('quick'))
    .option('--attacks <list>', "attacks in place of the suite's, for example fgsm,pgd:norm=l2:steps=100; see docs/attacks.md")
    .option('--eps <list>', 'L-infinity radii in [0,1] pixel units, for example 0,0.5/255,8/255')
    .option('--eps-l2 <list>', 'L2 radii, for attacks of that norm (default: 0.5)')
    .option('--eps-l1 <list>', 'L1 radii, for attacks of that norm (default: 12)')
    .option('--eps-l0 <list>', 'numbers of pixels, for attacks of that norm (default: 1)')
    .option('--samples <count>', 'test images: the first so many, with equal shares of the classes', integerFrom(1))
    .option(
      '--workers <count>',
      'worker processes to start; 0 = wait for workers from elsewhere. Results do not depend on it',
      integerIn(0, 256),
      2,
    )
    .option('--transfer', 'try what was made against one network on the others, too', false)
    .option('--only-correct-by-all', 'attack only images that all networks classify correctly', false)
    .option('--out <folder>', 'folder of the results; a second call with the same question goes on there (default: a new one below runs/)')
    .option('--seed <number>', "of the attacks' randomness", integerFrom(0), 1)
    .option('--batch-size <count>', 'images of one compiled batch; larger ones suit GPUs', integerIn(1, 10_000), 10);
  addClusterOptions(addConfigOptions(command))
    .addHelpText(
      'after',
      `
Examples:
  $ deepdefense evaluate runs/cifar10-deep-20250102-030405-a1b2
  $ deepdefense evaluate runs/benchmark-* runs/deep-* --suite standard --transfer --out compare
  $ deepdefense evaluate deep.safetensors --attacks apgd,square --eps 1/255,2/255 --samples 200 --json

Ctrl-C lets the tasks in progress end and stops with code 130; the same command with --out FOLDER goes on. See docs/evaluation.md.`,
    )
    .action(async (sources: readonly string[], options: EvaluateOptions) => {
      const { runEvaluateCommand } = await import('../evaluate-command.ts');
      await runEvaluateCommand(sources, options, ['deepdefense', ...process.argv.slice(2)].join(' '), tools);
    });
};
