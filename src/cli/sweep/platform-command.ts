/** @file What is done with all sweeps on NATS servers: the list of them, deletion, quotas of tenants. */
import Table from 'cli-table3';
import { DeepDefenseError } from '../../core/index.ts';
import { findStream, type NatsLink, openNatsLink, sweepNames } from '../../journal/index.ts';
import { listQuotas, readLeaders, setQuota, SweepRegistry, takeLeadership } from '../../queue/index.ts';
import type { CommandTools } from '../command-definition.ts';
import type { CommandContext } from '../context.ts';
import { type NatsFlags, natsOptionsOf } from './nats-options.ts';
import { duration } from './show-sweep.ts';

/** All sweeps on the servers. */
export async function runSweepList(flags: NatsFlags, { context }: CommandTools): Promise<void> {
  const surroundings = context();
  const sweeps = await withServers(flags, surroundings, async (link) => {
    const entries = (await (await SweepRegistry.find(link))?.list()) ?? [];
    const leaders = await readLeaders(
      link,
      entries.map(({ sweep }) => sweep),
    );
    return entries.map((entry) => ({
      ...entry,
      leader: leaders.get(entry.sweep) ?? null,
      ageSeconds: Math.max(0, Math.round((Date.now() - Date.parse(entry.startedAt)) / 1000)),
    }));
  });
  const table = createTable(['sweep', 'state', 'tenant', 'priority', 'candidates', 'measurements', 'coordinator', 'age']);
  for (const { sweep, state, tenant, priority, candidates, budget, measurements, leader, ageSeconds } of sweeps)
    table.push([
      ...[sweep, state, tenant, String(priority), `${candidates} of ${budget}`, String(measurements)],
      ...[leader === null ? 'none' : `${leader.host} (${leader.processId})`, duration(ageSeconds)],
    ]);
  surroundings.result({ sweeps }, sweeps.length === 0 ? 'no sweeps' : table.toString());
}

/** Deletes all that the servers have of a sweep that nobody coordinates. */
export async function runSweepDelete(
  sweepId: string,
  { yes = false, ...flags }: NatsFlags & { readonly yes?: boolean },
  { context }: CommandTools,
): Promise<void> {
  const surroundings = context();
  const { journalStream, taskStream, eventStream, bucket } = sweepNames(sweepId);
  // The journal last: as long as it is there the deletion can be repeated.
  const streams = [taskStream, `KV_${bucket}`, eventStream, journalStream];
  if (!yes) {
    throw new DeepDefenseError('USAGE', {
      what: `nothing is deleted of the sweep "${sweepId}" without --yes`,
      expected: `--yes, which deletes the streams ${streams.join(', ')}`,
      todo: 'keep what you need: the journal is also in the folder of the coordinator',
    });
  }
  await withServers(flags, surroundings, async (link) => {
    const registry = await SweepRegistry.find(link);
    const there = await Promise.all(streams.map((stream) => link.ask("can't look for the sweep", () => findStream(link, stream))));
    if (there.every((stream) => stream === undefined) && (await registry?.get(sweepId)) === undefined) {
      throw new DeepDefenseError('CHECKPOINT_MISSING', {
        what: `there is no sweep "${sweepId}" on NATS at ${link.servers}`,
        todo: '`deepdefense sweep list` shows those that are there',
        fields: { sweep: sweepId },
      });
    }
    const leadership = await takeLeadership({ link, sweepId, onLost: () => {} }, { standby: false, signal: new AbortController().signal });
    try {
      await registry?.delete(sweepId);
      for (const [i, stream] of streams.entries())
        if (there[i] !== undefined) await link.ask(`can't delete the stream "${stream}"`, () => link.jsm.streams.delete(stream));
    } finally {
      await leadership.release();
    }
  });
  surroundings.result({ sweep: sweepId, deleted: streams }, `deleted "${sweepId}"`);
}

/** @param parallel undefined = no limit from now on */
export async function runQuotaSet(
  tenant: string,
  parallel: number | undefined,
  flags: NatsFlags,
  { context }: CommandTools,
): Promise<void> {
  const surroundings = context();
  await withServers(flags, surroundings, (link) => setQuota(link, tenant, parallel));
  surroundings.result(
    { tenant, parallel: parallel ?? null },
    parallel === undefined ? `no limit for "${tenant}"` : `"${tenant}" may have ${parallel} trials under way`,
  );
}

export async function runQuotaList(flags: NatsFlags, { context }: CommandTools): Promise<void> {
  const surroundings = context();
  const quotas = await withServers(flags, surroundings, listQuotas);
  const table = createTable(['tenant', 'trials under way', 'at most']);
  for (const { tenant, used, parallel } of quotas) table.push([tenant, String(used), String(parallel)]);
  surroundings.result({ quotas }, quotas.length === 0 ? 'no quotas' : table.toString());
}

function createTable(head: string[]): Table.Table {
  return new Table({ head, style: { head: [], border: [] } });
}

async function withServers<T>(flags: NatsFlags, context: CommandContext, action: (link: NatsLink) => Promise<T>): Promise<T> {
  const nats = natsOptionsOf(flags, context.global);
  if (nats === undefined) {
    throw new DeepDefenseError('USAGE', {
      what: 'this is about sweeps on NATS servers, and none are given',
      expected: '--nats (or DEEPDEFENSE_NATS)',
    });
  }
  const link = await openNatsLink(nats);
  try {
    return await action(link);
  } finally {
    await link.close();
  }
}
