/** @file The KV buckets that all sweeps of the servers share. */
import type { KV } from '@nats-io/kv';
import type { NatsLink } from './link.ts';
import { ensureStream, findStream } from './streams.ts';

/**
 * Opens a bucket, and makes it where it is missing.
 * @param description of its stream
 * @throws DeepDefenseError SWEEP_OTHER, NATS_UNSUPPORTED, STORAGE_FAILED, CONNECT_FAILED
 */
export async function openSharedBucket(link: NatsLink, name: string, description: string): Promise<KV> {
  await ensureStream(link, {
    name: `KV_${name}`,
    subjects: [`$KV.${name}.>`],
    description,
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    max_msgs_per_subject: 1,
    allow_rollup_hdrs: true,
    deny_delete: true,
    // A copy that is behind might answer direct reads.
    allow_direct: false,
  });
  return link.ask(`can't open the bucket "${name}"`, () => link.bucket(name));
}

/** Opens a bucket that somebody else makes. @returns undefined when it is missing. @throws DeepDefenseError CONNECT_FAILED */
export async function findSharedBucket(link: NatsLink, name: string): Promise<KV | undefined> {
  return link.ask(`can't look for the bucket "${name}"`, async () => {
    const found = await findStream(link, `KV_${name}`);
    return found === undefined ? undefined : link.bucket(name);
  });
}
