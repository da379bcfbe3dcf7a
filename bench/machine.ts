/** @file What a timing depends on besides the code. */
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  /** Logical processors that the operating system shows. */
  readonly processors: number;
  readonly memoryGiB: number;
  readonly platform: string;
  /** Load average of the last minute when the benchmark began; above about 0.5 other work disturbs the timings. */
  readonly loadAtStart: number;
}

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    processors: processors.length,
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    platform: `${platform()} ${release()} ${arch()}`,
    loadAtStart: loadavg()[0] ?? 0,
  };
}

/** Highest resident memory of this process in MiB. */
export function peakMemoryMiB(): number {
  try {
    // VmHWM and not maxRSS: on Linux the latter also counts the process that forked this one.
    const match = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (match?.[1] !== undefined) return Number(match[1]) / 1024;
  } catch {
    // not Linux
  }
  return process.resourceUsage().maxRSS / 1024;
}
