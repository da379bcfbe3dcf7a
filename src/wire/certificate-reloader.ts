/**
 * @file Certificates of a listening server that are read again when they have changed on disk, so that a rotation needs no restart.
 * Connections that are open go on with the old ones; new ones get the new ones.
 */
import type { experimental } from '@grpc/grpc-js';
import { isDeepDefenseError } from '../core/index.ts';
import { loadTlsFiles, type ReportSecurityEvent, type TlsFiles } from '../security/index.ts';

/** How often the files are looked at. */
export const RELOAD_MS = 10_000;

/** Looks as long as a server listens to it. */
export class CertificateReloader implements experimental.CertificateProvider {
  #tls: TlsFiles;
  readonly #report: ReportSecurityEvent;
  readonly #onServed: (tls: TlsFiles) => void;
  readonly #authorityListeners = new Set<experimental.CaCertificateUpdateListener>();
  readonly #identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();
  #timer: NodeJS.Timeout | undefined;

  /** @param onServed told which files are served, at once and when they change */
  constructor(tls: TlsFiles, report: ReportSecurityEvent, onServed: (tls: TlsFiles) => void) {
    this.#tls = tls;
    this.#report = report;
    this.#onServed = onServed;
    onServed(tls);
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#authorityListeners.add(listener);
    // Later: grpc-js isn't ready for it when it adds its listener.
    process.nextTick(() => listener({ caCertificate: this.#tls.authority }));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#authorityListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.add(listener);
    this.#timer ??= setInterval(() => void this.#reload(), RELOAD_MS).unref();
    process.nextTick(() => listener({ certificate: this.#tls.certificate, privateKey: this.#tls.key }));
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.delete(listener);
    if (this.#identityListeners.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #reload(): Promise<void> {
    let next: TlsFiles;
    try {
      next = await loadTlsFiles(this.#tls.folder);
    } catch (error) {
      // Perhaps half written; the old ones serve on, and whoever reads the log hears of it every time.
      this.#report('certificate-reload', { folder: this.#tls.folder, reason: isDeepDefenseError(error) ? error.message : String(error) });
      return;
    }
    const { authority, certificate, key } = this.#tls;
    if (next.authority.equals(authority) && next.certificate.equals(certificate) && next.key.equals(key)) return;
    this.#tls = next;
    this.#onServed(next);
    for (const listener of this.#authorityListeners) listener({ caCertificate: next.authority });
    for (const listener of this.#identityListeners) listener({ certificate: next.certificate, privateKey: next.key });
  }
}
