/** Checks the direction of imports. The order of folders is the one in docs/architecture.md. */
const FOLDERS = [
  'core',
  'security',
  'config',
  'optimizers',
  'engine',
  'data',
  'nn',
  'objectives',
  'attacks',
  'strategies',
  'evaluation',
  'wire',
  'telemetry',
  'journal',
  'queue',
  'sweeps',
  'worker',
  'coordinator',
  'reports',
  'cli',
];

/** Packages that one folder alone may import, or few: `a|b`. */
const OWNED_PACKAGES = {
  '@nats-io/': 'journal|queue',
  '@tensorflow/': 'engine',
  onnxruntime: 'engine',
  'prom-client': 'telemetry',
  'pino/': 'telemetry',
  'cli-progress': 'telemetry',
  echarts: 'reports',
  '@peculiar/x509': 'security',
  'reflect-metadata': 'security',
  jose: 'security',
  commander: 'cli',
};

/** Folders whose processes must start without a tensor package. */
const WITHOUT_TENSORS = ['wire', 'telemetry', 'journal', 'queue', 'sweeps', 'coordinator', 'reports'];
const TENSOR_FOLDERS = ['engine', 'nn', 'objectives', 'attacks', 'strategies', 'evaluation'];

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    { name: 'no-dev-dependencies', severity: 'error', from: { path: '^src/' }, to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] } },
    {
      name: 'only-known-folders',
      comment: 'A new folder needs its place in the order.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${FOLDERS.join('|')})/` },
      to: {},
    },
    ...FOLDERS.slice(0, -1).map((folder, index) => ({
      name: `layers-${folder}`,
      comment: `${folder} imports only folders above it`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { path: `^src/(${FOLDERS.slice(index + 1).join('|')})/` },
    })),
    {
      name: 'others-through-index',
      comment: "outside its folder a file is imported through the folder's index.ts",
      severity: 'error',
      from: { path: '^src/([^/]+)/' },
      to: { path: '^src/([^/]+)/', pathNot: ['^src/$1/', '^src/[^/]+/index\\.ts$'] },
    },
    ...Object.entries(OWNED_PACKAGES).map(([name, folder]) => ({
      name: `only-${folder.replace('|', '-and-')}-imports-${name.replaceAll(/[^a-z]/g, '')}`,
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${folder})/` },
      to: { path: `node_modules/${name}` },
    })),
    {
      name: 'no-tensors-in-the-coordinator',
      comment: "the coordinator's image holds no tensor package",
      severity: 'error',
      from: { path: `^src/(${WITHOUT_TENSORS.join('|')})/` },
      to: { path: `^src/(${TENSOR_FOLDERS.join('|')})/` },
    },
    {
      name: 'no-tensors-behind-the-coordinator',
      comment: 'not even indirectly',
      severity: 'error',
      from: { path: '^src/(coordinator/index|cli/train-command|cli/commands/(coordinator|certs|config|report)|cli/sweep/sweep-command)\\.ts$' },
      to: { path: `^src/(${TENSOR_FOLDERS.join('|')})/`, reachable: true },
    },
    {
      name: 'commands-load-lazily',
      comment: 'what the command tree needs to print its help; the rest is imported when a command runs',
      severity: 'error',
      from: { path: '^src/cli/(main|run-cli|program|context|command-definition|config-options|option-parsers|report-error|train-command|commands/.*)\\.ts$' },
      to: { path: '^src/(?!core/|cli/)', dynamic: false, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '^src/(cli/(main|generate-docs)|worker/compute-thread)\\.ts$' },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    combinedDependencies: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'], extensions: ['.ts', '.js', '.json'] },
  },
};
