/** @file Certificates of one authority in a folder, for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Identity, initAuthority, issueInto, loadTlsFiles, type TlsFiles } from '../../src/security/index.ts';

export class TestAuthority {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<TestAuthority> {
    const folder = await mkdtemp(join(tmpdir(), 'certs-'));
    await initAuthority(folder, 1);
    return new TestAuthority(folder);
  }

  /** @returns the folder */
  issue(role: Identity['role'], name: string, days = 1, hosts: readonly string[] = []): Promise<string> {
    return issueInto(this.folder, { role, name }, hosts, days);
  }

  async tls(role: Identity['role'], name: string): Promise<TlsFiles> {
    return loadTlsFiles(await this.issue(role, name));
  }

  close(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
