import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Stage {
  readonly name: string;
  readonly base: string;
  readonly instructions: readonly string[];
}

/** Stages of a Dockerfile, each with the instructions that it inherits; comments left out, continued lines joined. */
function stagesOf(dockerfile: string): ReadonlyMap<string, Stage> {
  const stages = new Map<string, Stage>();
  let current: { name: string; base: string; instructions: string[] } | undefined;
  const lines = dockerfile
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  for (const line of lines) {
    const from = /^FROM (\S+) AS (\S+)$/.exec(line);
    if (from !== null) {
      const [, base = '', name = ''] = from;
      current = { name, base, instructions: [...(stages.get(base)?.instructions ?? [])] };
      stages.set(name, current);
    } else current?.instructions.push(line);
  }
  return stages;
}

const last = (instructions: readonly string[], word: string): string | undefined =>
  instructions.findLast((line) => line.startsWith(`${word} `))?.slice(word.length + 1);

const dockerfile = read('deploy/Dockerfile');
const stages = stagesOf(dockerfile);
const TARGETS = ['coordinator', 'worker-cpu', 'worker-vulkan', 'worker-cuda', 'worker-tfjs-gpu'];

describe('Dockerfile', () => {
  it('base images: are arguments with an exact version', () => {
    const images = [...dockerfile.matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm)].map(([, name = '', image = '']) => ({ name, image }));
    expect(images.length).toBeGreaterThan(3);
    for (const { image } of images) expect(image).toMatch(/^docker\.io\/[\w/]+:\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$/);
    const bases = [...stages.values()].map(({ base }) => base).filter((base) => !stages.has(base));
    for (const base of bases) expect(images.map(({ name }) => `\${${name}}`)).toContain(base);
  });

  it.each(TARGETS)('%s: runs tini as an ordinary user, with a health check and labels', (target) => {
    const { instructions } = stages.get(target) as Stage;
    expect(last(instructions, 'USER')).toBe('10001:10001');
    expect(last(instructions, 'ENTRYPOINT')).toBe(
      '["/usr/bin/tini", "--", "/usr/local/bin/node", "--v8-pool-size=0", "/app/dist/cli/main.js"]',
    );
    expect(last(instructions, 'HEALTHCHECK')).toContain('/livez');
    expect(last(instructions, 'STOPSIGNAL')).toBe('SIGTERM');
    expect(last(instructions, 'LABEL')).toContain('org.opencontainers.image.version="${VERSION}"');
    expect(instructions.filter((line) => line.startsWith('COPY')).join('\n')).toContain('/sbom.cdx.json');
  });

  it('coordinator: has the packages without the optional ones, which are the tensor packages', () => {
    expect(stages.get('coordinator')?.instructions.join('\n')).toContain('--from=coordinator-app /image/ /');
    expect(stages.get('coordinator-app')?.instructions.join('\n')).toContain('npm ci --ignore-scripts --omit=dev --omit=optional');
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { dev?: boolean; optional?: boolean }> };
    const kept = Object.entries(packages).filter(([, { dev, optional }]) => dev !== true && optional !== true);
    expect(kept.length).toBeGreaterThan(50);
    expect(kept.map(([path]) => path).filter((path) => /@tensorflow|onnxruntime/.test(path))).toEqual([]);
  });

  it('version of the images: is that of the package', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    const versions = [...dockerfile.matchAll(/^ARG VERSION=(\S+)$/gm)].map(([, each]) => each);
    expect(new Set(versions)).toEqual(new Set([version]));
  });

  it('ignored files: are all but those that the stages copy', () => {
    const ignored = read('.dockerignore').split('\n');
    expect(ignored).toContain('*');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) => paths.split(' '));
    for (const path of copied) {
      expect(ignored, path).toContain(`!${path}`);
      expect(existsSync(join(root, path)), path).toBe(true);
    }
  });
});

interface Service {
  readonly image: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly mem_limit?: string;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly build?: { readonly target: string };
}

describe('compose.yaml', () => {
  const compose = parse(read('deploy/compose.yaml'), { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, unknown>;
  };
  const services = Object.entries(compose.services);

  it.each(services)('%s: is hardened, pinned, and published on this machine alone', (name, service) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    expect(service.image).toMatch(/:v?\d+\.\d+\.\d+(-\w+)?$/);
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
    if (name !== 'certificates') expect(service.mem_limit).toBeDefined();
    for (const needed of Object.keys(service.depends_on ?? {})) expect(Object.keys(compose.services)).toContain(needed);
  });

  it.each(services)('%s: mounts files that exist and volumes that are declared', (_, { volumes = [] }) => {
    for (const volume of volumes) {
      const source = volume.startsWith('${') ? (/:-([\w-]+)\}/.exec(volume)?.[1] ?? '') : (volume.split(':')[0] ?? '');
      if (source.startsWith('./')) expect(existsSync(join(root, 'deploy', source)), source).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
  });

  it('images of ours: are targets of the Dockerfile', () => {
    for (const [, { build }] of services)
      if (build !== undefined) expect(TARGETS).toContain(build.target.replace(/^\$\{\w+:-([\w-]+)\}$/, '$1'));
  });
});
