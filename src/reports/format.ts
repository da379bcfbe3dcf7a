/** @file How figures are written, the same in HTML and in the terminal. */

/** L-infinity radius in [0,1] units as people write it: `8/255` where that is exact, else four significant digits. */
export function formatEps(epsLinf: number): string {
  const levels = epsLinf * 255;
  const rounded = Math.round(levels * 2) / 2;
  return Math.abs(levels - rounded) < 1e-6 ? `${rounded}/255` : String(Number(epsLinf.toPrecision(4)));
}

/** A share in [0,1] as per cent with one decimal, without the sign: `71.3`. */
export function formatPercent(share: number): string {
  return (share * 100).toFixed(1);
}

/** A duration: `48 s`, `12 min 5 s`, `2 h 3 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${seconds < 10 ? Number(seconds.toFixed(1)) : whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const TITLES: Readonly<Record<string, string>> = {
  clean: 'Clean',
  noise: 'Noise',
  pgd: 'PGD-10',
  apgd: 'APGD-CE',
  square: 'Square',
  jitter: 'Jitter',
  'worst-case': 'Worst case',
};

/** An attack's name as people write it; unknown names are upper-cased. */
export function attackTitle(attack: string): string {
  return TITLES[attack] ?? attack.toUpperCase();
}

/** A measured number with at most four significant digits. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  return String(Number(value.toPrecision(4)));
}
