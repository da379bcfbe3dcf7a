/** @file `data`: gets, checks and describes datasets. */
import { Option } from 'commander';
import { EXIT_CODES } from '../../core/index.ts';
import type { CommandDefinition } from '../command-definition.ts';

interface DataOptions {
  readonly data?: string;
  readonly source: 'cifar10' | 'synthetic';
}

export const dataCommand: CommandDefinition = (program, { context, setExitCode }) => {
  const command = program.command('data').description('get, check and describe datasets');
  const source = (): Option => new Option('--source <name>', 'dataset').choices(['cifar10', 'synthetic']).default('cifar10');
  const dataPath = ['--data <path>', 'archive or unpacked folder (else DEEPDEFENSE_DATA, else the cache)'] as const;

  command
    .command('get')
    .description('download the official CIFAR-10 (170 MB) into the cache, or check the copy there; an interrupted download is resumed')
    .option('--url <url>', 'another place of the official archive cifar-10-binary.tar.gz')
    .addHelpText(
      'after',
      '\nExample:\n  $ deepdefense data get\n\nThe cache is DEEPDEFENSE_CACHE, else $XDG_CACHE_HOME/deepdefense, else ~/.cache/deepdefense.',
    )
    .action(async ({ url }: { url?: string }) => {
      const { cacheFolderOf, getCifar10 } = await import('../../data/index.ts');
      const { dataProgressPrinter } = await import('../data-progress.ts');
      const surroundings = context();
      const cacheFolder = cacheFolderOf(process.env);
      const dataset = await getCifar10({
        cacheFolder,
        onProgress: dataProgressPrinter(surroundings),
        ...(url === undefined ? {} : { url }),
      });
      surroundings.result(
        {
          name: dataset.name,
          contentHash: dataset.contentHash,
          folder: cacheFolder,
          trainSamples: dataset.train.count,
          testSamples: dataset.test.count,
        },
        `${dataset.name} is in ${cacheFolder} (${dataset.train.count} + ${dataset.test.count} images, content ${dataset.contentHash})`,
      );
    });

  command
    .command('verify')
    .description('read every record and check layout, labels and pixels')
    .option(...dataPath)
    .addOption(source())
    .addHelpText('after', '\nExample:\n  $ deepdefense data verify --data ~/cifar-10-batches-bin')
    .action(async ({ data, source: name }: DataOptions) => {
      const { verifyDataset } = await import('../../data/index.ts');
      const { ok, checks, opened, description } = await verifyDataset({ source: name, path: data });
      const lines = checks.map((check) => `${check.state.padEnd(8)}${check.name}: ${check.detail}`);
      const document = {
        ok,
        name: description.name,
        contentHash: description.contentHash,
        path: opened.path,
        official: opened.official,
        checks,
      };
      context().result(document, [`${description.name} ${opened.path ?? '(built in)'}`, ...lines].join('\n'));
      if (!ok) setExitCode(EXIT_CODES.DATA);
    });

  command
    .command('info')
    .description('name, place, content hash, counts and channel statistics')
    .option(...dataPath)
    .addOption(source())
    .addHelpText('after', '\nExample:\n  $ deepdefense data info --source synthetic')
    .action(async ({ data, source: name }: DataOptions) => {
      const { describeDataset, openDatasetWithOrigin } = await import('../../data/index.ts');
      const { dataset, origin, path, official } = await openDatasetWithOrigin({ source: name, path: data });
      const description = describeDataset(dataset);
      const fixed = (values: readonly number[]): string => values.map((value) => value.toFixed(4)).join(', ');
      const split = (title: string, set: typeof description.train): string =>
        `${title}  ${set.count} images, per class ${set.perClass.join(' ')}, mean R,G,B ${fixed(set.mean)}, std ${fixed(set.std)}`;
      const text = [
        `name     ${description.name}`,
        `place    ${path ?? '-'} (${origin}${official ? ', official pixels' : ''})`,
        `content  sha256 ${description.contentHash}`,
        `classes  ${description.classNames.join(', ')}`,
        split('train  ', description.train),
        split('test   ', description.test),
      ].join('\n');
      context().result({ ...description, origin, path, official }, text);
    });
};
