/**
 * @file Runs what the containers of submitted objects run, as processes of this machine: command lines and environment are those of the
 * rendered pods, paths and ports are translated. It stands in for controllers and kubelet; nothing is contained.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../../support/k8s/manifest.ts';
import { podTemplates } from '../../support/k8s/manifest.ts';
import type { CommandFolder, RunningCommand } from './command.ts';
import { freePort } from './processes.ts';

/** A pod at work. */
export interface PodProcess {
  readonly command: RunningCommand;
  /** A GET of the HTTP port, tried until somebody answers. */
  get(path: string): Promise<{ readonly status: number; readonly text: string }>;
}

const ANSWER_MS = 60_000;

export class PodProcesses {
  readonly #folder: CommandFolder;
  readonly #objects: readonly Manifest[];
  readonly #environment: Readonly<Record<string, string>>;
  /** Of the coordinator with the number 0, which the names of a run lead to. */
  readonly #grpcPort: number;

  private constructor(
    folder: CommandFolder,
    objects: readonly Manifest[],
    environment: Readonly<Record<string, string>>,
    grpcPort: number,
  ) {
    this.#folder = folder;
    this.#objects = objects;
    this.#environment = environment;
    this.#grpcPort = grpcPort;
  }

  /** @param environment variables in place of those of the pods */
  static async create(
    folder: CommandFolder,
    objects: readonly Manifest[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<PodProcesses> {
    const config = objects.find(({ kind }) => kind === 'ConfigMap') as Manifest & { readonly data: Readonly<Record<string, string>> };
    const grpcPort = await freePort();
    const text = (config.data['config.yaml'] as string)
      .replace('runsFolder: /runs', `runsFolder: ${join(folder.path, 'volume-0')}`)
      .replace('host: 0.0.0.0', 'host: 127.0.0.1')
      .replace('port: 50051', `port: ${grpcPort}`);
    await writeFile(join(folder.path, 'config.yaml'), text);
    return new PodProcesses(folder, objects, environment, grpcPort);
  }

  /** The pod `ID-index` of the StatefulSet, on its volume; a second call is what starts it again. */
  async coordinator(index = 0): Promise<PodProcess> {
    const volume = join(this.#folder.path, `volume-${index}`);
    await mkdir(volume, { recursive: true });
    const httpPort = await freePort();
    await this.#rewriteHttpPort(httpPort);
    return this.#start('StatefulSet', httpPort, (argument) => argument.replace(/^\/runs/, volume));
  }

  /** A pod of the Job. */
  async worker(): Promise<PodProcess> {
    return this.#start('Job', await freePort(), (argument) => argument);
  }

  /** A run's config names its HTTP port. */
  async #rewriteHttpPort(port: number): Promise<void> {
    const path = join(this.#folder.path, 'config.yaml');
    await writeFile(path, (await readFile(path, 'utf8')).replace(/httpPort: \d+/, `httpPort: ${port}`));
  }

  #start(kind: string, httpPort: number, translate: (argument: string) => string): PodProcess {
    const pod = podTemplates(this.#objects).find(({ owner }) => owner.kind === kind);
    const container = pod?.containers[0];
    if (pod === undefined || container === undefined) throw new Error(`there is no ${kind}`);
    const { name: id } = this.#objects[0]?.metadata ?? { name: '' };
    const service = id.replace(/-config$/, '');
    const args = (container.args ?? []).map((argument) => {
      if (argument === '/config/config.yaml') return 'config.yaml';
      if (argument === '0.0.0.0') return '127.0.0.1';
      if (argument === '9464') return String(httpPort);
      // Coordinators of a sweep are equal and on one machine here; nobody asks for their port.
      if (argument === '50051') return '0';
      if (argument === `${service}-0.${service}:50051`) return `127.0.0.1:${this.#grpcPort}`;
      return translate(argument);
    });
    const command = this.#folder.startWith(this.#environment, args);
    return { command, get: (path) => getUntilAnswered(`http://127.0.0.1:${httpPort}${path}`, command) };
  }
}

async function getUntilAnswered(url: string, command: RunningCommand): Promise<{ readonly status: number; readonly text: string }> {
  for (const startMs = performance.now(); ; ) {
    try {
      const response = await fetch(url);
      return { status: response.status, text: await response.text() };
    } catch (error) {
      if (performance.now() - startMs > ANSWER_MS || command.child.exitCode !== null)
        throw new Error(`no answer from ${url}:\n${command.stderr()}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
