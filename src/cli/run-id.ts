/** @file Names of runs. */
import { randomBytes } from 'node:crypto';

/** `<name>-<yyyymmdd-hhmmss>-<4 hex>`, time in UTC. The random part keeps runs of one second apart; results never depend on it. */
export function createRunId(name: string, now: Date = new Date(), random: Uint8Array = randomBytes(2)): string {
  const [date, time] = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').split('T');
  return `${name}-${date}-${time}-${Buffer.from(random).toString('hex').slice(0, 4)}`;
}
