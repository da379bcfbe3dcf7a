/** @file Runs the user's kubectl, which knows the cluster and who they are. */
import { type ChildProcess, spawn } from 'node:child_process';
import { DeepDefenseError } from '../../core/index.ts';

export interface KubectlOptions {
  readonly namespace: string;
  /** Context of the kubeconfig; undefined = the current one. */
  readonly context?: string | undefined;
}

const FIELD_MANAGER = 'deepdefense-submit';
/** Characters of what kubectl says in an error of ours. */
const LONGEST = 600;

/** kubectl on PATH, for one namespace. */
export class Kubectl {
  readonly #options: KubectlOptions;

  constructor(options: KubectlOptions) {
    this.#options = options;
  }

  /**
   * Runs a command to its end.
   * @param input standard input
   * @returns standard output
   * @throws DeepDefenseError CLUSTER_FAILED when kubectl is missing or fails, with the last thing that it said
   */
  async run(args: readonly string[], input = ''): Promise<string> {
    const child = this.start(args);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin?.on('error', () => {}); // It ended without reading; its exit code says why.
    child.stdin?.end(input);
    const code = await exitOf(child);
    if (code === 0) return stdout;
    throw failed(args, stderr.trim() || `exit code ${code}`);
  }

  /** Starts a command that goes on, with pipes. See {@link exitOf}. */
  start(args: readonly string[]): ChildProcess {
    const { namespace, context } = this.#options;
    const scope = ['--namespace', namespace, ...(context === undefined ? [] : ['--context', context])];
    return spawn('kubectl', [...scope, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** Objects of these kinds with this label, as the server has them. */
  async list<T>(kinds: readonly string[], selector: string): Promise<readonly T[]> {
    const text = await this.run(['get', kinds.join(','), '--selector', selector, '--output', 'json']);
    return (JSON.parse(text) as { readonly items: readonly T[] }).items;
  }

  /** One object; undefined where there is none. */
  async find<T>(kind: string, name: string): Promise<T | undefined> {
    const text = await this.run(['get', kind, name, '--ignore-not-found', '--output', 'json']);
    return text.trim() === '' ? undefined : (JSON.parse(text) as T);
  }

  /**
   * Makes or updates objects; the server merges, and refuses fields that it doesn't know.
   * @param dryRun the server only says what it thinks of them
   */
  async apply(yaml: string, { dryRun = false } = {}): Promise<void> {
    const mode = dryRun ? ['--dry-run=server'] : [];
    await this.run(['apply', '--server-side', '--validate=strict', ...mode, '--field-manager', FIELD_MANAGER, '--filename', '-'], yaml);
  }
}

/** @returns the exit code of a process. @throws DeepDefenseError CLUSTER_FAILED when there is no kubectl */
export function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new DeepDefenseError('CLUSTER_FAILED', {
          what: cause.code === 'ENOENT' ? 'there is no kubectl on PATH' : "kubectl can't be started",
          got: cause.message,
          todo: 'install kubectl; or write the objects with --dry-run -o FILE and apply them where it is',
          cause,
        }),
      ),
    );
    child.once('close', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}

function failed(args: readonly string[], got: string): DeepDefenseError {
  // A server that may not change an object quotes it, which are thousands of characters; the reason stands at the end.
  const [start, end] = [got.slice(0, LONGEST / 2), got.slice(-LONGEST / 2)];
  return new DeepDefenseError('CLUSTER_FAILED', {
    what: `kubectl ${args[0]} failed`,
    got: got.length > LONGEST ? `${start} ... ${end}` : got,
    todo: /immutable|Forbidden: updates to /.test(got)
      ? 'what is there under this name has other options, which no server changes: give another --id, or remove it first (deepdefense submit delete NAME)'
      : 'check the context (kubectl config current-context), your rights, and that the platform is installed: kubectl apply -k k8s/overlays/kind',
  });
}
