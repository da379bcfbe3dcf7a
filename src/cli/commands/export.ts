/** @file `export`: weights in a form that other tools read. */
import { Option } from 'commander';
import type { CommandDefinition } from '../command-definition.ts';

interface ExportOptions {
  readonly format: 'onnx' | 'safetensors';
  readonly output: string;
}

export const exportCommand: CommandDefinition = (program, { context }) => {
  program
    .command('export')
    .description('write the weights of a run as ONNX (input `image` [N,3,32,32] in [0,1], output `logits`) or safetensors')
    .argument('<run-or-weights>', 'run folder, or a weights or checkpoint file (.safetensors)')
    .addOption(new Option('--format <format>', 'format of the output').choices(['onnx', 'safetensors']).default('onnx'))
    .requiredOption('-o, --output <file>', 'file to write')
    .addHelpText('after', '\nExample:\n  $ deepdefense export runs/cifar10-deep-20250102-030405-a1b2 --format onnx -o deep.onnx')
    .action(async (source: string, { format, output }: ExportOptions) => {
      const { readWeights } = await import('../weights-source.ts');
      const { sha256, writeFileAtomic } = await import('../../core/index.ts');
      const weights = await readWeights(source);
      const { name: model, inputRange } = weights.network;
      let bytes: Uint8Array;
      if (format === 'onnx') {
        const { exportOnnx } = await import('../../nn/index.ts');
        bytes = exportOnnx(weights.network, weights.parameters);
      } else {
        const { encodeSafetensors } = await import('../../wire/index.ts');
        bytes = encodeSafetensors(weights.tensors, { model, inputRange, network: JSON.stringify(weights.network) });
      }
      await writeFileAtomic(output, bytes);
      const document = {
        output,
        format,
        bytes: bytes.length,
        sha256: sha256(bytes),
        model,
        inputRange,
        source: weights.file,
      };
      context().result(document, `wrote ${output} (${format}, ${bytes.length} bytes, model ${model})`);
    });
};
