/** @file Makes a stream or finds it as it was made, and checks what the server made of the wish: old servers ignore what they don't know. */
import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import { DeepDefenseError } from '../../core/index.ts';
import { JS_ERROR, jetStreamCode, natsError } from './errors.ts';
import type { NatsLink } from './link.ts';
import { sweepNames } from './names.ts';

export type StreamWish = Partial<StreamConfig> & { readonly name: string; readonly subjects: string[] };

/** The description of a stream; says whose it is. @param definition hash of the sweep's definition */
export function describeStream(sweep: string, definition: string): string {
  return `deepdefense sweep=${sweep} definition=${definition}`;
}

/** Hash of the definition of a sweep that is there; undefined when there is none. @throws DeepDefenseError CONNECT_FAILED */
export async function findDefinition(link: NatsLink, sweepId: string): Promise<string | undefined> {
  const { journalStream } = sweepNames(sweepId);
  const found = await link.ask(`can't look for sweep "${sweepId}"`, () => findStream(link, journalStream));
  return / definition=(\S+)$/.exec(found?.config.description ?? '')?.[1];
}

/**
 * @param wish description included; what isn't in it, as copies and limits, is the operator's to change
 * @param initial further settings of a new stream
 * @throws DeepDefenseError SWEEP_OTHER when a stream of another sweep has the name; NATS_UNSUPPORTED when the server didn't do as
 * wished; STORAGE_FAILED, CONNECT_FAILED
 */
export async function ensureStream(link: NatsLink, wish: StreamWish, initial: Partial<StreamConfig> = {}): Promise<StreamInfo> {
  const { name } = wish;
  const what = `can't make the stream "${name}"`;
  try {
    const found = await link.ask(what, () => findStream(link, name));
    const info = found ?? (await link.ask(what, () => addStream(link, { ...wish, ...initial, num_replicas: link.replicas })));
    checkOwner(wish, info);
    checkConfig(`stream "${name}"`, wish, info.config);
    return info;
  } catch (error) {
    throw natsError(what, link.servers, error);
  }
}

/** @returns undefined when there is none */
export async function findStream(link: NatsLink, name: string): Promise<StreamInfo | undefined> {
  try {
    return await link.jsm.streams.info(name);
  } catch (error) {
    if (jetStreamCode(error) === JS_ERROR.STREAM_NOT_FOUND) return undefined;
    throw error;
  }
}

/** The request may be made twice, or by two processes at once: the same wish has the same answer. */
function addStream(link: NatsLink, wish: StreamWish): Promise<StreamInfo> {
  // The client writes into what it is given.
  return link.jsm.streams.add({ ...wish });
}

function checkOwner({ name, description }: StreamWish, { config }: StreamInfo): void {
  if (config.description === description) return;
  throw new DeepDefenseError('SWEEP_OTHER', {
    what: `the stream "${name}" belongs to another sweep, or the sweep's definition has changed`,
    expected: `"${description ?? ''}"`,
    got: `"${config.description ?? ''}"`,
    todo: 'give this sweep another name, or delete the streams of the other one when it is done with',
    fields: { stream: name },
  });
}

/** @throws DeepDefenseError NATS_UNSUPPORTED */
export function checkConfig(what: string, wish: object, made: object): void {
  const got = made as Readonly<Record<string, unknown>>;
  for (const [key, value] of Object.entries(wish)) {
    if (JSON.stringify(got[key] ?? absent(value)) === JSON.stringify(value)) continue;
    throw new DeepDefenseError('NATS_UNSUPPORTED', {
      what: `the NATS server did not take the setting "${key}" of the ${what}`,
      expected: JSON.stringify(value),
      got: JSON.stringify(got[key]) ?? 'nothing',
      todo: 'update nats-server to 2.9.4 or later; if it is, delete what has that name and was made with other settings',
      fields: { key },
    });
  }
}

/** The server leaves out what is false, 0 or empty. */
function absent(value: unknown): unknown {
  return typeof value === 'boolean' ? false : typeof value === 'number' ? 0 : '';
}
