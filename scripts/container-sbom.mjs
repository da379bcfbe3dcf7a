// Writes the bill of materials of an image (CycloneDX 1.5, JSON): the npm packages of its folders, Node.js, and the packages of its distribution.
// Also checks the folders against their lock files: an image has no package for development and no package outside the lock; the image of the
// coordinator has no tensor package either.
//
// Usage:  node scripts/container-sbom.mjs --image NAME --version VERSION --app FOLDER [--app FOLDER...] [--omit optional]
//                                         [--dpkg FILE[=PACKAGE]...] --out FILE
//   --app   folder with package.json, package-lock.json and node_modules; npm is asked for its packages
//   --omit  kind of dependencies, besides dev, that the first folder must not have
//   --dpkg  /var/lib/dpkg/status of the base image; with =PACKAGE that package alone, copied from another image
// The same packages give the same bytes: the time is SOURCE_DATE_EPOCH (seconds, default 0), the serial number a hash of the rest.
// Exits:  0 written, 1 a check failed (each finding is a line on stderr), 2 wrong usage.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    image: { type: 'string' },
    version: { type: 'string' },
    app: { type: 'string', multiple: true, default: [] },
    omit: { type: 'string' },
    dpkg: { type: 'string', multiple: true, default: [] },
    out: { type: 'string' },
  },
});
if (options.image === undefined || options.version === undefined || options.out === undefined || options.app.length === 0) {
  console.error('usage: container-sbom.mjs --image NAME --version VERSION --app FOLDER [--omit optional] [--dpkg FILE] --out FILE');
  process.exit(2);
}

/** Computes on tensors; the coordinator must do without. */
const TENSOR_PACKAGE = /^(@tensorflow\/|onnxruntime)/;
const findings = [];

const components = [
  ...options.app.flatMap((folder, index) =>
    npmComponents(folder, index === 0 && options.omit !== undefined ? ['dev', options.omit] : ['dev']),
  ),
  {
    type: 'platform',
    name: 'node',
    version: process.versions.node,
    purl: `pkg:generic/node@${process.versions.node}`,
    'bom-ref': `node@${process.versions.node}`,
  },
  ...options.dpkg.flatMap((source) => {
    const [file, only] = source.split('=');
    return dpkgComponents(file, only);
  }),
];
const unique = [...new Map(components.map((each) => [each['bom-ref'], each])).values()].toSorted((a, b) =>
  a['bom-ref'] < b['bom-ref'] ? -1 : 1,
);

if (findings.length > 0) {
  for (const finding of findings) console.error(`container-sbom: ${options.image}: ${finding}`);
  process.exit(1);
}
const digest = createHash('sha256')
  .update(JSON.stringify([options.image, options.version, unique]))
  .digest('hex');
const document = {
  bomFormat: 'CycloneDX',
  specVersion: '1.5',
  // A UUID of version 8: custom content.
  serialNumber: `urn:uuid:${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-8${digest.slice(17, 20)}-${digest.slice(20, 32)}`,
  version: 1,
  metadata: {
    timestamp: new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000).toISOString(),
    component: { type: 'container', name: options.image, version: options.version, 'bom-ref': `${options.image}@${options.version}` },
  },
  components: unique,
};
writeFileSync(options.out, `${JSON.stringify(document, undefined, 1)}\n`);
const count = (prefix) => unique.filter(({ purl }) => purl?.startsWith(prefix)).length;
console.log(
  `${options.image} ${options.version}: ${count('pkg:npm/')} npm packages, ${count('pkg:deb/')} packages of the distribution, Node.js ${process.versions.node}`,
);

/** What npm says of the lock, without the packages that were pruned; the folder itself is checked against the lock. */
function npmComponents(folder, omit) {
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages;
  for (const path of packageFolders(folder)) {
    const { name } = JSON.parse(readFileSync(join(folder, path, 'package.json'), 'utf8'));
    if (lock[path] === undefined) findings.push(`"${path}" is not in the lock`);
    else if (lock[path].dev === true) findings.push(`"${path}" is for development only`);
    else if (omit.includes('optional') && lock[path].optional === true) findings.push(`"${path}" is an optional package`);
    if (omit.includes('optional') && TENSOR_PACKAGE.test(name)) findings.push(`"${path}" is a tensor package`);
  }
  const args = [
    'sbom',
    '--sbom-format',
    'cyclonedx',
    '--sbom-type',
    'application',
    '--package-lock-only',
    ...omit.map((kind) => `--omit=${kind}`),
  ];
  const { metadata, components } = JSON.parse(
    execFileSync('npm', args, { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  // npm names the project after its folder.
  const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const present = new Set(
    Object.entries(lock)
      .filter(([path]) => path !== '' && existsSync(join(folder, path)))
      .map(([path, entry]) => `${entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${entry.version}`),
  );
  return [{ ...metadata.component, name }, ...components.filter((each) => present.has(`${each.name}@${each.version}`))];
}

/** `node_modules/a`, `node_modules/@b/c`, `node_modules/a/node_modules/d`, ... */
function packageFolders(folder, base = 'node_modules') {
  if (!existsSync(join(folder, base))) return [];
  return readdirSync(join(folder, base), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .flatMap(({ name }) => {
      if (name.startsWith('@')) return readdirSync(join(folder, base, name)).map((child) => `${base}/${name}/${child}`);
      return [`${base}/${name}`];
    })
    .flatMap((path) => [
      ...(existsSync(join(folder, path, 'package.json')) ? [path] : []),
      ...packageFolders(folder, `${path}/node_modules`),
    ]);
}

/** The installed packages of a dpkg database. */
function dpkgComponents(file, only) {
  const found = readFileSync(file, 'utf8')
    .split('\n\n')
    .map((paragraph) => Object.fromEntries([...paragraph.matchAll(/^([A-Za-z-]+): (.*)$/gm)].map(([, key, value]) => [key, value])))
    .filter(({ Package: name, Status: status }) => status === 'install ok installed' && (only === undefined || only === name))
    .map(({ Package: name, Version: version, Architecture: architecture, Maintainer: maintainer = '' }) => {
      const vendor = /ubuntu/i.test(maintainer) ? 'ubuntu' : 'debian';
      return {
        type: 'library',
        name,
        version,
        purl: `pkg:deb/${vendor}/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}`,
        'bom-ref': `deb:${name}@${version}:${architecture}`,
      };
    });
  if (only !== undefined && found.length === 0) findings.push(`"${file}" has no package "${only}"`);
  return found;
}
