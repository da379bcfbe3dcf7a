/** @file The processor as the fingerprint of an engine names it. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** The processor's model, as one word. */
export function cpuModel(): string {
  return (cpus()[0]?.model ?? 'unknown-cpu').trim().replaceAll(/\s+/g, '-');
}

/** The features that select other kernels, and so other roundings, inside a runtime; the model where the system doesn't tell. */
export function cpuFeatures(): string {
  try {
    const flags = /^flags\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
    const found = ['avx', 'avx2', 'fma', 'avx512f', 'avx512_vnni', 'amx_tile'].filter((flag) => flags.includes(flag));
    if (found.length > 0) return found.join('+');
  } catch {
    // Not Linux.
  }
  return cpuModel();
}
