/** @file `config`: shows, documents and describes the configuration. */
import type { CommandDefinition } from '../command-definition.ts';
import { addConfigOptions, type ConfigOptions, configFromOptions } from '../config-options.ts';

export const configCommand: CommandDefinition = (program, { context }) => {
  const command = program.command('config').description('show and describe the configuration');

  addConfigOptions(command.command('show').description('print the resolved config: every default filled in, everything checked'))
    .addHelpText('after', '\nExample:\n  $ deepdefense config show -c examples/cifar10-deep.yaml --set train.epochs=2')
    .action(async (options: ConfigOptions) => {
      const config = await configFromOptions(options);
      const { resolveGfa } = await import('../../config/index.ts');
      const { stringify } = await import('yaml');
      const shown = { ...config, strategy: { ...config.strategy, gfa: resolveGfa(config) } };
      context().result(shown, stringify(shown, { aliasDuplicateObjects: false }));
    });

  command
    .command('docs')
    .description('print docs/configuration.md')
    .addHelpText('after', '\nExample:\n  $ deepdefense config docs > configuration.md')
    .action(async () => {
      const { configDocs, configFields } = await import('../../config/index.ts');
      context().result({ fields: configFields() }, configDocs());
    });

  command
    .command('schema')
    .description('print the JSON Schema of a config file, for editors')
    .addHelpText('after', '\nExample:\n  $ deepdefense config schema > deepdefense.schema.json')
    .action(async () => {
      const { configJsonSchema } = await import('../../config/index.ts');
      const schema = configJsonSchema();
      context().result(schema, JSON.stringify(schema, undefined, 2));
    });

  command
    .command('presets')
    .description('list the presets')
    .addHelpText('after', '\nExample:\n  $ deepdefense train --preset smoke')
    .action(async () => {
      const { PRESETS } = await import('../../config/index.ts');
      const width = Math.max(...Object.keys(PRESETS).map((name) => name.length));
      const lines = Object.entries(PRESETS).map(([name, { summary }]) => `${name.padEnd(width)}  ${summary}`);
      context().result(PRESETS, lines.join('\n'));
    });
};
