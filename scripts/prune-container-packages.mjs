// Deletes from a node_modules folder what no image needs at run time, so that images are small. Only for images: types, maps and other platforms
// are of use elsewhere.
//
// Usage:  node scripts/prune-container-packages.mjs FOLDER        the folder that holds node_modules
// Prints: how much was deleted, by reason. Exit code 1 when a rule no longer finds what it deletes: the package has changed, look at the rule.
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

const [folder] = process.argv.slice(2);
if (folder === undefined || !existsSync(join(folder, 'node_modules'))) {
  console.error('usage: prune-container-packages.mjs FOLDER, a folder with node_modules');
  process.exit(2);
}
const root = join(folder, 'node_modules');
const platform = `bin/[^/]+/${process.platform}/${process.arch}/`;

/** Paths below node_modules. A rule with `package` must find something where that package is installed; licences stay unless the whole package goes. */
const RULES = [
  { why: 'packages of types alone', whole: true, path: /^(@types\/|undici-types\/|@webgpu\/types\/)/ },
  // tfjs loads its builds for Node.js (package.json: main), each one file that needs no polyfills.
  {
    why: 'TensorFlow.js for browsers',
    package: '@tensorflow/tfjs',
    path: /^@tensorflow\/tfjs(-(core|layers|data|converter|backend-\w+))?\/(dist\/(?![^/]+\.node\.js$)|src\/|tools\/|\.rollup)/,
  },
  { why: 'polyfills for browsers', whole: true, package: '@tensorflow/tfjs', path: /^core-js\// },
  {
    why: 'ONNX Runtime for other platforms',
    package: 'onnxruntime-node',
    path: new RegExp(`^onnxruntime-node/bin/(?!${platform.slice(4)})`),
  },
  // The page of a report imports single modules below lib.
  { why: 'charts for browsers', package: 'echarts', path: /^(echarts|zrender)\/(dist|build|i18n|asset|theme|types)\// },
  { why: 'types, maps, sources and pages', path: /\.(map|[cm]?ts|tsbuildinfo|html|md|markdown|flow)$/i },
];

const deleted = new Map(RULES.map((rule) => [rule, { files: 0, bytes: 0 }]));

/** Deletes what a rule names below `path`, and the folders that are empty then. */
function prune(path) {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) {
      prune(child);
      if (readdirSync(child).length === 0) rmSync(child, { recursive: true });
      continue;
    }
    // A package inside another package falls under the same rules.
    const below = relative(root, child).split('/node_modules/').at(-1);
    const rule = RULES.find((each) => each.path.test(below));
    if (rule === undefined || (rule.whole !== true && /(^|\/)(licen[cs]e|notice|copying)[^/]*$/i.test(below))) continue;
    const sum = deleted.get(rule);
    sum.files += 1;
    sum.bytes += entry.isSymbolicLink() ? 0 : statSync(child).size;
    rmSync(child);
  }
}

const installed = RULES.filter((rule) => rule.package !== undefined && existsSync(join(root, rule.package)));
prune(root);
for (const [{ why }, { files, bytes }] of deleted) console.log(`${(bytes / 1e6).toFixed(1).padStart(6)} MB in ${files} files: ${why}`);
for (const rule of installed)
  if (deleted.get(rule).files === 0) {
    console.error(`prune-container-packages: found no ${rule.why}: has ${rule.package} changed?`);
    process.exitCode = 1;
  }
