/** @file Certificates of an authority of its own, for benchmarks over mutual TLS. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initAuthority, issueInto } from '../src/security/index.ts';

/** Folders for `--certs`. */
export interface BenchCertificates {
  readonly coordinator: string;
  /** One for all workers, whose ids begin with `swarm-`. */
  readonly worker: string;
  close(): Promise<void>;
}

/** Valid for a day. */
export async function benchCertificates(): Promise<BenchCertificates> {
  const folder = await mkdtemp(join(tmpdir(), 'deepdefense-certificates-'));
  await initAuthority(folder, 1);
  const [coordinator, worker] = [
    await issueInto(folder, { role: 'coordinator', name: 'bench' }, [], 1),
    await issueInto(folder, { role: 'worker', name: 'swarm' }, [], 1),
  ];
  return { coordinator, worker, close: () => rm(folder, { recursive: true, force: true }) };
}
